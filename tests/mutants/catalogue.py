"""All mutants."""

from tests.mutants import kernel, money, quarrels, servers, telling

MUTANTS = (*kernel.MUTANTS, *servers.MUTANTS, *money.MUTANTS, *quarrels.MUTANTS, *telling.MUTANTS)
