"""Judges a regression on held-out rows, and beside the champion: the figures that modelfleet reads.

Any training script may import it: a fleet file packs this folder beside the script with
`dependencies`. It needs numpy and pandas. A whole use of it:

    print_figures(
        figures(
            train=targets,                                  # of the rows that were trained on
            validation=Predicted(targets, predictions),
            test=Predicted(targets, predictions),
            champion=score_champion(channel, score),        # None without one
            comparison=read_comparison(schema_folder, names_of_features),
        )
    )
"""

from .champion import NotComparable, read_archive, score_champion
from .comparison import Comparison, changes_by_segment, read_comparison, write_segments
from .data_error import DataError
from .report import Predicted, figures, print_figures

__all__ = [
    "Comparison",
    "DataError",
    "NotComparable",
    "Predicted",
    "changes_by_segment",
    "figures",
    "print_figures",
    "read_archive",
    "read_comparison",
    "score_champion",
    "write_segments",
]
