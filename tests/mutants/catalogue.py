"""All mutants: each a name, a place (mutant.py) and a change (changes.py) of what a pattern finds there (patterns.py).

    Mutant("the twentieth file is one too many", lambda: evidence, flip("__ <= EVIDENCE_FILES_MAX"))

One that fits nowhere, or more than once, says so in test_catalogue.py, and where else there is something like it.
"""

from tests.mutants import kernel, money, parcels, quarrels, repairs, servers, telling

MUTANTS = (
    *kernel.MUTANTS,
    *servers.MUTANTS,
    *repairs.MUTANTS,
    *money.MUTANTS,
    *parcels.MUTANTS,
    *quarrels.MUTANTS,
    *telling.MUTANTS,
)
