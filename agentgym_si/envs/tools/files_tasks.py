"""The domain `files`: its tasks."""

from __future__ import annotations

import sqlite3
from itertools import pairwise
from typing import Any

import numpy as np

from agentgym_si.envs.calls import Call
from agentgym_si.envs.tools.domain import Domain, Kind, Problem, Reply, others, pick, rows
from agentgym_si.envs.tools.files import POLICY, SCHEMA, TOOLS, fill
from agentgym_si.envs.tools.words import NAMES, WORDS


def some(
    database: sqlite3.Connection, rng: np.random.Generator, count: int, *, locked: bool = False
) -> list[dict[str, Any]]:
    """Draw files."""
    query = "SELECT * FROM files WHERE locked = ? ORDER BY path"
    return pick(rng, rows(database, query, int(locked)), count)


def new_words(database: sqlite3.Connection, rng: np.random.Generator, count: int) -> list[str]:
    """Draw words that are in no path and no text."""
    files = rows(database, "SELECT path, text FROM files")
    used = {word for file in files for word in (*file["path"].split("/"), file["text"])}
    return pick(rng, [word for word in WORDS if word not in used], count)


def delete(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Delete the file that is named."""
    path, other = (file["path"] for file in some(database, rng, 2))
    (name,) = new_words(database, rng, 1)
    return Problem(
        fields={"path": path},
        steps=(Call("delete_file", {"path": path}), "done"),
        wrong=(
            (Call("delete_file", {"path": other}),),
            (Call("write_file", {"path": path, "text": name}),),
        ),
    )


def write(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Write a word into a file."""
    (file, other), (word, wrong) = some(database, rng, 2), new_words(database, rng, 2)
    right = {"path": file["path"], "text": word}
    return Problem(
        fields=right,
        steps=(Call("write_file", right), "done"),
        wrong=(
            (Call("write_file", right | {"path": other["path"]}),),
            (Call("write_file", right | {"text": wrong}),),
            (Call("delete_file", {"path": file["path"]}),),
        ),
    )


def rename(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Move the file that is named."""
    (file, other), (folder, name) = some(database, rng, 2), new_words(database, rng, 2)
    right = {"path": file["path"], "to": f"{folder}/{name}"}
    return Problem(
        fields=right,
        steps=(Call("move_file", right), "done"),
        wrong=(
            (Call("move_file", right | {"path": other["path"]}),),
            (Call("copy_file", right),),
            (Call("delete_file", {"path": file["path"]}),),
        ),
    )


def ask_text(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Say what stands in a file."""
    file, *rest = some(database, rng, 13)
    (word,) = new_words(database, rng, 1)
    database.execute("UPDATE files SET text = ? WHERE path = ?", (word, file["path"]))
    look = Call("read_file", {"path": file["path"]})
    return Problem(
        fields={"path": file["path"]},
        steps=(look, word),
        says=(word,),
        unsaid=others(word, [other["text"] for other in rest]),
        wrong=((look, Call("delete_file", {"path": file["path"]})),),
    )


def ask_size(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Say the size of a file."""
    file, *rest = some(database, rng, 13)
    look, size = Call("file_info", {"path": file["path"]}), str(file["size"])
    return Problem(
        fields={"path": file["path"]},
        steps=(look, size),
        says=(size,),
        unsaid=others(size, [other["size"] for other in rest]),
        wrong=((look, Call("delete_file", {"path": file["path"]})),),
    )


def delete_by_text(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Delete the file that holds a word, and which has to be found."""
    (file, other), (word,) = some(database, rng, 2), new_words(database, rng, 1)
    database.execute("UPDATE files SET text = ? WHERE path = ?", (word, file["path"]))
    look = Call("find_text", {"word": word})
    return Problem(
        fields={"word": word},
        steps=(look, Call("delete_file", {"path": file["path"]}), "done"),
        wrong=((look, Call("delete_file", {"path": other["path"]})), (look,)),
    )


def move_largest(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Move a folder's largest file, and say its size."""
    folder = _folder(some(database, rng, 1)[0])
    to = "/".join(new_words(database, rng, 2))
    found = [file for file in some(database, rng, 13) if _folder(file) == folder]
    found.sort(key=lambda file: -int(file["size"]))
    top = found[0]["size"]
    query = "UPDATE files SET size = 100 WHERE substr(path, 1, ?) = ? AND size > ?"
    database.execute(query, (len(folder) + 1, f"{folder}/", top))  # the locked one is no largest
    look, right = Call("list_folder", {"folder": folder}), {"path": found[0]["path"], "to": to}
    return Problem(
        fields={"folder": folder, "to": to},
        steps=(look, Call("move_file", right), str(top)),
        says=(str(top),),
        unsaid=others(str(top), [file["size"] for file in found]),
        wrong=(
            (look, Call("move_file", right | {"path": found[1]["path"]})),
            (look, Call("copy_file", right)),
        ),
    )


def ask_path(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Write a word into a file that only the user knows."""
    word, folder, name, wrong = new_words(database, rng, 4)
    right = {"path": f"{folder}/{name}", "text": word}
    return Problem(
        fields=right,
        steps=("Which file?", Call("write_file", right), "done"),
        replies=(Reply(("file", "path", "folder", "where", "name"), f"Into {right['path']}."),),
        wrong=((Call("write_file", right | {"path": f"{folder}/{wrong}"}),),),
    )


def refuse_delete(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Refuse to delete a locked file."""
    (file,) = some(database, rng, 1, locked=True)
    return _refused(database, file, Call("delete_file", {"path": file["path"]}))


def refuse_write(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Refuse to write into a locked file."""
    (file,), (word,) = some(database, rng, 1, locked=True), new_words(database, rng, 1)
    return _refused(database, file, Call("write_file", {"path": file["path"], "text": word}))


def _refused(database: sqlite3.Connection, file: dict[str, Any], against: Call) -> Problem:
    look = Call("file_info", {"path": file["path"]})
    return Problem(
        fields=against.arguments,
        steps=(look, file["owner"]),
        says=(file["owner"],),
        unsaid=others(file["owner"], _owners(database)),
        wrong=((against,), (look, against)),
    )


def tidy(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Delete a folder's large files but the locked ones, and say how much space that gives."""
    folder = _folder(some(database, rng, 1, locked=True)[0])
    query = "SELECT * FROM files WHERE substr(path, 1, ?) = ? ORDER BY path"
    found = rows(database, query, len(folder) + 1, f"{folder}/")
    bound = sorted(file["size"] for file in found)[0]
    large = [file for file in found if file["size"] > bound]
    locked = next(file for file in found if file["locked"])
    looks = [Call("file_info", {"path": file["path"]}) for file in large]
    drop = [Call("delete_file", {"path": f["path"]}) for f in large if not f["locked"]]
    space = str(sum(file["size"] for file in large if not file["locked"]))
    look, against = (
        Call("list_folder", {"folder": folder}),
        Call("delete_file", {"path": locked["path"]}),
    )
    return Problem(
        fields={"folder": folder, "bound": bound},
        steps=(look, *looks, *drop, space),
        says=(space,),
        unsaid=others(space, [sum(file["size"] for file in large)]),
        busy={"delete_file": 1},
        wrong=((look, *looks, *drop, against), (look, *looks, *drop[1:])),
    )


def follow(database: sqlite3.Connection, rng: np.random.Generator) -> Problem:
    """Follow the paths that files hold to the last one, copy it, and say its owner."""
    (*chain, other), (folder, name) = some(database, rng, 4), new_words(database, rng, 2)
    for file, after in pairwise(chain):
        query = "UPDATE files SET text = ? WHERE path = ?"
        database.execute(query, (after["path"], file["path"]))
    (owner,) = pick(rng, [name for name in NAMES if name not in _owners(database)])
    database.execute("UPDATE files SET owner = ? WHERE path = ?", (owner, chain[-1]["path"]))
    reads = [Call("read_file", {"path": file["path"]}) for file in chain]
    info = Call("file_info", {"path": chain[-1]["path"]})
    right = {"path": chain[-1]["path"], "to": f"{folder}/{name}"}
    return Problem(
        fields={"path": chain[0]["path"], "to": right["to"]},
        steps=(*reads, Call("copy_file", right), info, owner),
        says=(owner,),
        unsaid=others(owner, _owners(database)),
        busy={"read_file": 1, "copy_file": 1},
        wrong=(
            (*reads, Call("copy_file", right | {"path": chain[1]["path"]}), info),
            (*reads, Call("move_file", right), info),
            (*reads, Call("copy_file", right | {"path": other["path"]}), info),
        ),
    )


def _folder(file: dict[str, Any]) -> str:
    return str(file["path"]).partition("/")[0]


def _owners(database: sqlite3.Connection) -> list[str]:
    return [file["owner"] for file in rows(database, "SELECT owner FROM files")]


DOMAIN = Domain(
    name="files",
    policy=POLICY,
    schema=SCHEMA,
    fill=fill,
    tools=TOOLS,
    kinds=(
        Kind(
            0,
            delete,
            train=("Delete {path}.", "Please remove the file {path}."),
            test=("I do not need {path} any more, get rid of it.",),
        ),
        Kind(
            0,
            write,
            train=("Write {text} into {path}.", "{path} should say {text}."),
            test=("Let {text} be all that stands in {path}.",),
        ),
        Kind(
            0,
            rename,
            train=("Move {path} to {to}.", "Rename {path}: {to}."),
            test=("From now on {to} is the place of {path}.",),
        ),
        Kind(
            1,
            ask_text,
            train=("What does {path} say?", "Read {path} to me."),
            test=("Tell me the text that stands in {path}.",),
        ),
        Kind(
            1,
            ask_size,
            train=("How large is {path}?", "Tell me the size of {path}."),
            test=("How much space does {path} take?",),
        ),
        Kind(
            2,
            delete_by_text,
            train=("Delete the file that says {word}.",),
            test=("Somewhere {word} is written: get rid of that file.",),
        ),
        Kind(
            2,
            move_largest,
            train=("Move the largest file of {folder} to {to}. What is its size?",),
            test=("{to} is the new place for what takes most space in {folder}. Name its size.",),
        ),
        Kind(
            3,
            ask_path,
            train=("Write down {text} for me.", "Make a note: {text}."),
            test=("Keep {text} in one of my notes.",),
        ),
        Kind(
            3,
            refuse_delete,
            train=("Delete {path}, if that may be done.",),
            test=("Should the rules let you, get rid of {path}.",),
        ),
        Kind(
            3,
            refuse_write,
            train=("Write {text} into {path}, if that may be done.",),
            test=("Should the rules let you, let {text} be all that stands in {path}.",),
        ),
        Kind(
            4,
            tidy,
            train=(
                "Delete all files of {folder} larger than {bound} that may be deleted. How much "
                "do their sizes add up to?",
            ),
            test=(
                "In {folder}, get rid of what takes more than {bound}, as far as the rules let "
                "you, and add the sizes up.",
            ),
        ),
        Kind(
            4,
            follow,
            train=(
                "{path} holds a path, and that file the path of a last one: copy the last one to "
                "{to}. Who is its owner?",
            ),
            test=(
                "Begin at {path}, go where it points, and from there once more; {to} gets a copy "
                "of what is there. Name the owner.",
            ),
        ),
    ),
)
