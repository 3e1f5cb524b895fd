"""`./edgewise demo`: the main job without a browser."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from deploy_app.demo import STEPS, Unfinished, Wishes, demonstrate
from edgewise.errors import UserError
from edgewise.spec.network import NETWORKS
from edgewise.spec.words import split_words


class Command(BaseCommand):
    """Import or speak words, train a network on them, and build every artifact."""

    help = (
        "The main job without a browser: import, dataset, run, results, artifact.zip. Without --audio the demo speaks "
        "its own words."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--audio", type=Path, metavar="PATH", help="archive or folder of recordings")
        parser.add_argument("--steps", type=int, default=STEPS, help="training steps (default: %(default)s)")
        parser.add_argument("--network", default="kws-small", help=f"one of {', '.join(NETWORKS)}")
        parser.add_argument("--keywords", default="", metavar="A,B,C", help="words to detect, in this order")
        parser.add_argument("--json", action="store_true", help="results as one JSON object on the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and print the results."""
        if options["audio"] is None:
            self.stderr.write("The demo speaks its own words; only real recordings can judge a model.")
        keywords = split_words(options["keywords"])
        try:
            results = demonstrate(Wishes(options["audio"], keywords, options["network"], options["steps"]))
        except UserError as error:
            raise CommandError(error.sentence) from error
        except Unfinished as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(results) if options["json"] else _summary(results))


def _summary(results: dict[str, Any]) -> str:
    rows = {
        "labels": ", ".join(results["labels"]),
        "test accuracy": f"{results['test_accuracy']:.2%} (balanced {results['balanced_accuracy']:.2%})",
        "validation accuracy": f"{results['validation_accuracy']:.2%}",
        "training": f"{results['steps']:,} steps in {results['training_seconds']:.0f} s",
        "in all": f"{results['seconds']:.0f} s",
        "run": results["run"],
        **{f"artifact {name}": path for name, path in results["artifacts"].items()},
    }
    width = max(map(len, rows))
    return "\n".join(f"{title:{width}}  {value}" for title, value in rows.items())
