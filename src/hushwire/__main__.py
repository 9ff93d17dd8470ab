"""`python -m hushwire` is the command `hushwire`."""

from hushwire.cli.main import main

if __name__ == "__main__":
    main()
