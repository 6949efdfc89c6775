"""Check the links of the site: every local address and anchor of its pages exists.

    python .ci/check_site.py build/site

Links to other sites are not tried.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit


class Link(NamedTuple):
    """An address as it stands on a page, and the number of its line."""

    address: str
    line: int


class Page(HTMLParser):
    """The anchors and links of a page.

    Parameters
    ----------
    text : str
        HTML.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors = {"", "top"}
        self.links: list[Link] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what is an anchor or a link."""
        for name, value in attrs:
            if value is None:
                continue
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif name in ("href", "src"):
                self.links.append(Link(value, self.getpos()[0]))


def fault(link: Link, file: Path, pages: dict[Path, Page]) -> str:
    """Return what is wrong with a link of a file, or nothing."""
    target = urlsplit(link.address)
    if target.scheme or target.netloc:
        return ""
    path = (file.parent / unquote(target.path)).resolve() if target.path else file
    path = path / "index.html" if path.is_dir() else path
    if not path.is_file():
        return "no such file"
    if path in pages and unquote(target.fragment) not in pages[path].anchors:
        return "no such anchor"
    return ""


def main(site: Path) -> None:
    """Check all pages, and end with the list of what is wrong."""
    files = [path for path in site.resolve().rglob("*.html") if "_static" not in path.parts]
    pages = {file: Page(file.read_text(encoding="utf-8")) for file in sorted(files)}
    links = [(file, link) for file, page in pages.items() for link in page.links]
    faults = [
        f"{file.relative_to(site.resolve())}:{link.line}: {link.address}: {wrong}"
        for file, link in links
        if (wrong := fault(link, file, pages))
    ]
    if faults or not pages:
        raise SystemExit("\n".join(faults) or f"check_site: no page in {site}")
    print(f"the {len(links):,} links of {len(pages)} pages lead somewhere or to other sites")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
