"""`python -m fastwheel`."""

from fastwheel.cli import main

if __name__ == "__main__":
    main()
