from tests.compiling import unoptimised  # noqa: F401 - a fixture of every test here
