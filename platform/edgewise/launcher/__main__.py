"""Stage 2: `python -m edgewise.launcher COMMAND …` inside the environment."""

from edgewise.launcher.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
