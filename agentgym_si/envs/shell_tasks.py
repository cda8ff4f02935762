"""The bundled tasks of `Shell-v0`: twenty families, drawn from the seed, each with its solution.

Names and words of the split "test" occur in no task of the split "train", and its goals are worded
otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from agentgym_si.envs.shell_files import Node, text_tree, with_folders
from agentgym_si.envs.shell_problems import Archive, Problem, packed

_TRAIN = """
amber birch cedar delta ember fjord grove haven iris jade kelp lotus maple north onyx pearl quartz
raven slate tulip violet willow zephyr acorn breeze cobalt dune echo falcon
"""
_TEST = """
anvil basket candle desk easel flute globe hammer iron jar kettle lamp mirror needle oven pillow
quilt radio saddle table umbrella vase wallet yarn bottle clock drum fan
"""
_WORDS = {"train": _TRAIN.split(), "test": _TEST.split()}
SPLITS = tuple(_WORDS)

T = TypeVar("T")


class Draw:
    """Draws names that are all different, and texts, from one split's words."""

    def __init__(self, rng: np.random.Generator, split: str) -> None:
        words = _WORDS[split]
        self.rng = rng
        self.words: list[str] = [words[number] for number in rng.permutation(len(words))]
        self.split = split

    def name(self, ending: str = "") -> str:
        """Return a word that was not drawn yet."""
        return self.words.pop() + ending

    def names(self, count: int, ending: str = "") -> list[str]:
        """Return several."""
        return [self.name(ending) for _ in range(count)]

    def number(self, low: int, high: int) -> int:
        """Return an integer from `low` to `high`."""
        return int(self.rng.integers(low, high + 1))

    def lines(self, count: int) -> list[str]:
        """Return lines of two words, which may repeat."""
        words = _WORDS[self.split]
        pairs = self.rng.integers(len(words), size=(count, 2))
        return [f"{words[first]} {words[second]}" for first, second in pairs]

    def text(self, low: int = 2, high: int = 6) -> str:
        """Return lines as a file's content."""
        return "".join(f"{line}\n" for line in self.lines(self.number(low, high)))

    def others(self, count: int = 2) -> dict[str, str]:
        """Return files that have nothing to do with the problem."""
        return {self.name(".dat"): self.text() for _ in range(count)}

    def say(self, train: str, test: str) -> str:
        """Return the wording of the split."""
        return train if self.split == "train" else test


@dataclass(frozen=True)
class _Change:
    """What a family says: the files, what becomes of them, and the words for it."""

    goal: str
    files: Mapping[str, str | Node]
    commands: Sequence[str]
    names: Sequence[str]
    new: Mapping[str, Node | Archive | str] | None = None
    """Files as they are in the end, where they differ."""
    gone: Sequence[str] = ()
    folders: Sequence[str] = ()
    answer: str = ""


def create_file(draw: Draw) -> _Change:
    """An empty file."""
    name = draw.name(".txt")
    goal = draw.say(f"Create an empty file named {name}", f"Make a new empty file called {name}")
    return _Change(goal, draw.others(), [f"touch {name}"], [name], {name: ""})


def make_folder(draw: Draw) -> _Change:
    """An empty folder."""
    name = draw.name()
    goal = draw.say(f"Create a folder named {name}", f"Make a new directory called {name}")
    return _Change(goal, draw.others(), [f"mkdir {name}"], [name], {name: Node("folder")})


def delete_file(draw: Draw) -> _Change:
    """One file of several."""
    files = draw.others(4)
    name = list(files)[1]
    goal = draw.say(f"Delete the file {name}", f"Remove {name}")
    return _Change(goal, files, [f"rm {name}"], [name], gone=[name])


def copy_file(draw: Draw) -> _Change:
    """A file under a second name."""
    files = draw.others(3)
    old, new = next(iter(files)), draw.name(".dat")
    goal = draw.say(f"Copy the file {old} to {new}", f"Make a copy of {old} named {new}")
    return _Change(goal, files, [f"cp {old} {new}"], [old, new], {new: files[old]})


def move_file(draw: Draw) -> _Change:
    """A file into a folder that is there."""
    files, folder = draw.others(3), draw.name()
    name = list(files)[2]
    goal = draw.say(f"Move the file {name} into the folder {folder}", f"Put {name} into {folder}/")
    new = {f"{folder}/{name}": files[name]}
    return _Change(
        goal, files, [f"mv {name} {folder}/"], [name, folder], new, [name], folders=[folder]
    )


def write_line(draw: Draw) -> _Change:
    """A file with one line."""
    name, text = draw.name(".txt"), draw.lines(1)[0]
    goal = draw.say(
        f"Create a file named {name} that holds the line: {text}",
        f"Write the line '{text}' to a new file {name}",
    )
    return _Change(
        goal, draw.others(), [f"echo {text} > {name}"], [name, text], {name: f"{text}\n"}
    )


def append_line(draw: Draw) -> _Change:
    """A line at a file's end."""
    files, text = draw.others(3), draw.lines(1)[0]
    name = list(files)[1]
    goal = draw.say(
        f"Append the line '{text}' to the file {name}", f"Add a last line to {name}: {text}"
    )
    new = {name: f"{files[name]}{text}\n"}
    return _Change(goal, files, [f"echo {text} >> {name}"], [name, text], new)


def make_link(draw: Draw) -> _Change:
    """A symbolic link."""
    files = draw.others(3)
    target, name = next(iter(files)), draw.name()
    goal = draw.say(
        f"Create a symbolic link named {name} to {target}",
        f"Make {name} a symlink that points to {target}",
    )
    new = {name: Node("link", target.encode())}
    return _Change(goal, files, [f"ln -s {target} {name}"], [target, name], new)


def folder_tree(draw: Draw) -> _Change:
    """Folders in a folder, a file in each."""
    top, first, second = draw.names(3)
    name = draw.name(".txt")
    goal = draw.say(
        f"Create the folders {top}/{first} and {top}/{second}, with an empty file {name} in each",
        f"Make an empty file {name} in each of the new directories {top}/{first}, {top}/{second}",
    )
    new = {f"{top}/{folder}/{name}": "" for folder in (first, second)}
    commands = [f"mkdir -p {top}/{first} {top}/{second}", f"touch {' '.join(new)}"]
    return _Change(goal, draw.others(), commands, [top, first, second, name], new)


def delete_pattern(draw: Draw) -> _Change:
    """All files of one ending, in all folders."""
    folder = draw.name()
    gone = [*draw.names(2, ".log"), f"{folder}/{draw.name('.log')}"]
    files = draw.others(2) | {path: draw.text() for path in gone}
    files[f"{folder}/{draw.name('.txt')}"] = draw.text()
    goal = draw.say(
        "Delete all files whose names end in .log, in all folders",
        "Remove every .log file here and below",
    )
    return _Change(goal, files, ["find . -name '*.log' -delete"], [".log"], gone=gone)


def rename_pattern(draw: Draw) -> _Change:
    """Another ending for all files of one ending."""
    stems = draw.names(3)
    files = {f"{stem}.txt": draw.text() for stem in stems}
    goal = draw.say(
        "Rename every file that ends in .txt so that it ends in .md instead",
        "Change the ending of all .txt files to .md",
    )
    new = {f"{stem}.md": files[f"{stem}.txt"] for stem in stems}
    command = 'for f in *.txt; do mv "$f" "${f%.txt}.md"; done'
    return _Change(goal, files | draw.others(), [command], [".txt", ".md"], new, list(files))


def sort_lines(draw: Draw) -> _Change:
    """A file's lines in order."""
    lines = draw.lines(draw.number(5, 9))
    # A first line that is the last in order: they are never sorted yet.
    files = {draw.name(".txt"): "".join(f"{line}\n" for line in ["zinc", *lines]), **draw.others()}
    name = next(iter(files))
    goal = draw.say(f"Sort the lines of {name} in place", f"Put the lines of {name} in order")
    new = {name: "".join(sorted(files[name].splitlines(keepends=True)))}
    return _Change(goal, files, [f"sort -o {name} {name}"], [name], new)


def replace_text(draw: Draw) -> _Change:
    """One word for another, wherever it stands."""
    files = {draw.name(".txt"): draw.text(5, 9), **draw.others()}
    name, new_word = next(iter(files)), f"{draw.name()}{draw.number(10, 99)}"
    old_word = files[name].split()[draw.number(0, 7)]
    goal = draw.say(
        f"In the file {name}, replace every {old_word} by {new_word}",
        f"Change {old_word} to {new_word} throughout {name}",
    )
    new = {name: files[name].replace(old_word, new_word)}
    command = f"sed -i s/{old_word}/{new_word}/g {name}"
    return _Change(goal, files, [command], [name, old_word, new_word], new)


def remove_repeats(draw: Draw) -> _Change:
    """Each line once, in the order of first occurrence."""
    lines = draw.lines(4)
    repeated = [lines[draw.number(0, 3)] for _ in range(4)]
    files = {draw.name(".txt"): "".join(f"{line}\n" for line in lines + repeated), **draw.others()}
    name = next(iter(files))
    goal = draw.say(
        f"Remove repeated lines from {name}: keep each line's first occurrence, in order",
        f"Keep only the first of equal lines in {name}, the order unchanged",
    )
    new = {name: "".join(f"{line}\n" for line in dict.fromkeys(lines + repeated))}
    command = f"kept=$(awk '!seen[$0]++' {name}); echo \"$kept\" > {name}"
    return _Change(goal, files, [command], [name], new)


def merge_files(draw: Draw) -> _Change:
    """Two files after one another in a third."""
    files = draw.others(3)
    (first, second), name = list(files)[:2], draw.name(".txt")
    goal = draw.say(
        f"Write the content of {first} and then that of {second} into a new file {name}",
        f"Concatenate {first} and {second} (in this order) to {name}",
    )
    new = {name: files[first] + files[second]}
    return _Change(goal, files, [f"cat {first} {second} > {name}"], [first, second, name], new)


def csv_column(draw: Draw) -> _Change:
    """A column of a table as a file of its own."""
    table, name, *headings = draw.name(".csv"), draw.name(".txt"), *draw.names(3)
    column, count = draw.number(0, 2), draw.number(3, 6)
    rows = [[str(draw.number(1, 99)) for _ in headings] for _ in range(count)]
    text = "".join(",".join(row) + "\n" for row in [headings, *rows])
    goal = draw.say(
        f"Write the column {headings[column]} of {table}, without its heading, into {name}",
        f"Extract the values (not the heading) of {headings[column]} in {table} to {name}",
    )
    new = {name: "".join(f"{row[column]}\n" for row in rows)}
    command = f"tail -n +2 {table} | cut -d, -f{column + 1} > {name}"
    return _Change(
        goal, {table: text, **draw.others()}, [command], [table, headings[column], name], new
    )


def set_permissions(draw: Draw) -> _Change:
    """The mode of one file; all others keep theirs."""
    files = {path: Node(data=text.encode(), mode=0o644) for path, text in draw.others(3).items()}
    name = list(files)[1]
    mode = (0o600, 0o640, 0o700, 0o755, 0o444)[draw.number(0, 4)]
    goal = draw.say(
        f"Set the permissions of {name} to {mode:o}", f"Change the mode of {name} to {mode:o}"
    )
    new = {name: replace(files[name], mode=mode)}
    return _Change(goal, files, [f"chmod {mode:o} {name}"], [f"{mode:o}", name], new)


def pack_folder(draw: Draw) -> _Change:
    """A folder as an archive."""
    folder = draw.name()
    inside = {f"{folder}/{path}": text for path, text in draw.others(3).items()}
    name = draw.name(".tar.gz")
    goal = draw.say(
        f"Pack the folder {folder} into a gzipped tar archive named {name}",
        f"Archive the directory {folder} as {name} (tar, gzip)",
    )
    new = {name: Archive({path: text.encode() for path, text in inside.items()})}
    command = f"tar -czf {name} {folder}"
    return _Change(goal, inside | draw.others(), [command], [name, folder], new)


def unpack_archive(draw: Draw) -> _Change:
    """An archive's files beside it."""
    folder, name = draw.name(), draw.name(".tar")
    inside = {f"{folder}/{path}": text for path, text in draw.others(3).items()}
    archive = packed({path: text.encode() for path, text in inside.items()})
    goal = draw.say(
        f"Extract the tar archive {name} here and keep it", f"Unpack {name}; leave it in place"
    )
    files: dict[str, str | Node] = {name: Node(data=archive), **draw.others()}
    return _Change(goal, files, [f"tar -xf {name}"], [name], inside)


def count_lines(draw: Draw) -> _Change:
    """How long a file is."""
    files = {path: draw.text(3, 40) for path in draw.names(3, ".txt")}
    name = list(files)[1]
    goal = draw.say(f"How many lines does {name} have?", f"Count the lines of the file {name}")
    answer = str(files[name].count("\n"))
    return _Change(goal, files, [f"wc -l < {name}"], [name], answer=answer)


def largest_file(draw: Draw) -> _Change:
    """Which of several files is the largest."""
    names = draw.names(5, ".txt")
    lengths = draw.rng.permutation(len(names))
    files = {
        name: "".join(f"{line}\n" for line in draw.lines(1 + 4 * int(length)))
        for name, length in zip(names, lengths, strict=True)
    }
    answer = max(files, key=lambda name: len(files[name]))
    goal = draw.say("Which file is the largest?", "Name the file with the most bytes")
    return _Change(goal, files, ["ls -S | head -n 1"], names, answer=answer)


def find_text(draw: Draw) -> _Change:
    """Which file holds a word."""
    folders = draw.names(2)
    files = {f"{folder}/{draw.name('.txt')}": draw.text(4, 8) for folder in folders * 3}
    word = f"{draw.name()}{draw.number(100, 999)}"
    answer = list(files)[draw.number(0, len(files) - 1)]
    files[answer] += f"{word} here\n"
    goal = draw.say(
        f"Which file contains the word {word} (its path, like folder/name.txt)?",
        f"Give the path (folder/name.txt) of the file that holds {word}",
    )
    return _Change(goal, files, [f"grep -rl {word} *"], [word], answer=answer)


def sum_numbers(draw: Draw) -> _Change:
    """The sum of a file's lines."""
    numbers = [draw.number(1, 500) for _ in range(draw.number(5, 12))]
    name = draw.name(".txt")
    files = {name: "".join(f"{number}\n" for number in numbers), **draw.others()}
    goal = draw.say(
        f"What is the sum of the numbers in {name}?", f"Add up the numbers that {name} holds"
    )
    command = f"awk '{{ s += $1 }} END {{ print s }}' {name}"
    return _Change(goal, files, [command], [name], answer=str(sum(numbers)))


FAMILIES: Mapping[str, Callable[[Draw], _Change]] = {
    family.__name__.replace("_", "-"): family
    for family in (
        *(create_file, make_folder, delete_file, copy_file, move_file, write_line, append_line),
        *(make_link, folder_tree, delete_pattern, rename_pattern, sort_lines, replace_text),
        *(remove_repeats, merge_files, csv_column, set_permissions, pack_folder, unpack_archive),
        *(count_lines, largest_file, find_text, sum_numbers),
    )
}
"""The easiest first: names to be copied into one command."""


def draw_problem(family: str, split: str, rng: np.random.Generator) -> Problem:
    """Return a family's problem as the generator draws it."""
    change = FAMILIES[family](Draw(rng, split))
    before = with_folders(text_tree({}, change.folders) | _nodes(change.files))
    after: dict[str, Node | Archive] = {**before}
    after.update(_nodes(change.new or {}))
    for path in change.gone:
        del after[path]
    end = ". Answer with submit(...)." if change.answer else "."
    return Problem(
        goal=(change.goal + end).replace("?.", "?"),
        before=before,
        after=after,
        commands=tuple(change.commands),
        answer=change.answer,
        names=tuple(change.names),
    )


def _nodes(files: Mapping[str, T | str]) -> dict[str, T | Node]:
    return {
        path: Node(data=value.encode()) if isinstance(value, str) else value
        for path, value in files.items()
    }
