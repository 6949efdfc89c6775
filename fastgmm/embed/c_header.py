"""Where the C header is."""

from pathlib import Path


def get_include() -> str:
    """Return the folder of ``fastgmm.h``, for a compiler's include path.

    Returns
    -------
    str
    """
    return str(Path(__file__).with_name("include"))
