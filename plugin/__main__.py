"""`python -m plugin` is `survey-plugin`."""

from plugin.cli import main

if __name__ == "__main__":
    main()
