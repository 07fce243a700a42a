"""A pytest plugin: Hypothesis draws the same examples every time, remembers none, and makes none smaller that fails."""

from hypothesis import HealthCheck, Phase, settings


def pytest_configure() -> None:
    phases = (Phase.explicit, Phase.generate)
    settings.register_profile(
        "mutants",
        deadline=None,
        derandomize=True,
        database=None,
        phases=phases,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("mutants")
