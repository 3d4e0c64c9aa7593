"""`python -m fastwheel`."""

from fastwheel.cli import run

if __name__ == "__main__":
    run()
