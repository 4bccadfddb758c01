"""Asks `packaging`, the library that pip uses, what it makes of versions, clauses, markers and tags, and prints the answers:
python3 make.py FILE.dist-info/METADATA… > answers.txt. The metadata are those of any wheels; markers are taken from them."""

import email
import random
import sys

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import compatible_tags, cpython_tags
from packaging.version import InvalidVersion, Version

random.seed(7)
choice = random.choice


def version():
    text = "%d!" % choice([0, 1, 2]) if random.random() < 0.1 else ""
    text += ".".join(str(choice([0, 0, 1, 2, 3, 10])) for _ in range(random.randint(1, 4)))
    if random.random() < 0.35:
        text += choice(["", ".", "-", "_"]) + choice(["a", "b", "rc", "alpha", "beta", "c", "pre", "preview"])
        text += choice(["", ".", "-"]) + choice(["", "0", "1", "12"])
    if random.random() < 0.25:
        text += choice(["-1", "-2", ".post1", "post", "_rev3", "-r4", ".post"])
    if random.random() < 0.2:
        text += choice([".dev0", "dev", "-dev3", "_dev.1"])
    if random.random() < 0.15:
        text += "+" + choice(["1", "abc", "abc.1", "ubuntu-1", "5.x"])
    return text


def said(*words):
    print("\t".join(str(word) for word in words))


good = []
for text in [version() for _ in range(400)]:
    try:
        said("version", text, Version(text))
        good.append(text)
    except InvalidVersion:
        said("version", text, "")
for _ in range(500):
    one, other = Version(choice(good)), Version(choice(good))
    said("order", one, other, (one > other) - (one < other))
for _ in range(800):
    operator, text = choice(["==", "!=", "<=", ">=", "<", ">", "~="]), choice(good)
    if operator in ("==", "!=") and random.random() < 0.3:
        text = Version(text).base_version + ".*"
    base = Version(text.removesuffix(".*"))
    candidate = choice(good) if random.random() < 0.5 else f"{base.public}{choice(['', '.post1', '.dev1', '.1', '+x'])}"
    try:
        said("clause", operator + text, candidate, SpecifierSet(operator + text).contains(Version(candidate), prereleases=True))
    except InvalidSpecifier:
        said("clause", operator + text, "1.0", "")
    except InvalidVersion:
        pass
machine = {
    "os_name": "posix", "sys_platform": "linux", "platform_machine": "x86_64", "platform_system": "Linux",
    "platform_python_implementation": "CPython", "implementation_name": "cpython", "implementation_version": "3.13.5",
    "python_version": "3.13", "python_full_version": "3.13.5", "platform_release": "6", "platform_version": "x",
}
lines = set()
for file in sys.argv[1:]:
    with open(file, encoding="utf-8") as text:
        lines.update(email.message_from_file(text).get_all("Requires-Dist") or [])
markers = sorted({str(Requirement(line).marker) for line in lines if Requirement(line).marker})
for marker in markers:
    for extra in ["", "test", "dev", "socks"]:
        said("marker", marker, extra, Marker(marker).evaluate({**machine, "extra": extra}))
platforms = []
for minor in range(41, 4, -1):
    platforms.append(f"manylinux_2_{minor}_x86_64")
    platforms += [f"{old}_x86_64" for known, old in [(17, "manylinux2014"), (12, "manylinux2010"), (5, "manylinux1")] if known == minor]
platforms.append("linux_x86_64")
for tag in cpython_tags((3, 13), abis=["cp313"], platforms=platforms):
    said("tag", tag)
for tag in compatible_tags((3, 13), interpreter="cp313", platforms=platforms):
    said("tag", tag)
