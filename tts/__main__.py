"""`python -m tts` is the `tts` command."""

from tts.cli import main

if __name__ == "__main__":
    main()
