"""Does any schedule of crashes, delays, repeats and lies lose, double or strand a penny? The whole system, from one
seed, in one thread and in virtual time."""
