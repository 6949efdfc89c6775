"""Links from the HTML representation of estimators to their documentation."""

from typing import ClassVar


class Documented:
    """An estimator whose representation in a notebook links to its page of the reference."""

    # scikit-learn's names
    _doc_link_module: ClassVar[str] = "fastgmm"
    _doc_link_template: ClassVar[str] = (
        "https://fastgmm.github.io/fastgmm/reference/generated/fastgmm.{estimator_name}.html"
    )
