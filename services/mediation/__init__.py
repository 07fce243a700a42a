"""The judge of escalated disputes: rounds, questions, solutions, decisions (R36–R48)."""
