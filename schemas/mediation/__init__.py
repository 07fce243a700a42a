"""The mediation service's messages: the platform's review of an escalated dispute (R36–R48 of docs/RULES.md)."""
