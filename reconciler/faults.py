"""The rules about one file by itself: IN001-IN018 of YAML, which `documents` applies, IN020-IN028 of the schema."""

from __future__ import annotations

from reconciler.findings import Rule

LARGE = Rule(
    "IN001",
    "error",
    "The file is too large",
    "Split it; a domain's file has a few KiB.",
    why="One such file would hold up the plan of every client, and nobody can review it.",
)
ENCODING = Rule(
    "IN002",
    "error",
    "The file is not UTF-8",
    "Save it as UTF-8.",
    why="Names would be read with other letters than their author wrote, and recipients would see those.",
)
BOM = Rule(
    "IN003",
    "error",
    "The file begins with a byte order mark",
    "Save it as UTF-8 without one.",
    why="Editors hide the mark, other programs take it for a part of the first key: they miss `domain`.",
)
CHARACTER = Rule(
    "IN004",
    "error",
    "A character that cannot be seen",
    "Remove it; a value is one line of visible text.",
    why="What a reviewer sees and what a server gets would differ: a hidden line break ends a header or a "
    "line of a map.",
)
SYNTAX = Rule(
    "IN005",
    "error",
    "Not YAML",
    "Check indentation, colons, quotes and brackets, here and just before.",
    why="Nothing in the file can be relied on: a guess at what was meant could leave out a mailbox, which "
    "would then be retired.",
)
DEEP = Rule(
    "IN006",
    "error",
    "Nested too deep",
    "No file of an estate needs that; what follows was not read.",
    why="A file of nothing but brackets would keep the reader busy, and every client's plan waiting.",
)
TAG = Rule(
    "IN007",
    "error",
    "A YAML tag",
    "Remove it, or put the text in quotes if it is one that begins with `!`.",
    why="With a tag a value is read as something else than it looks like, by some programs as code to be run.",
)
ANCHOR = Rule(
    "IN008",
    "error",
    "A YAML anchor or alias",
    "Write the value out; a text that begins so goes in quotes.",
    why="An edit at the anchor changes other lines, which the diff does not show; and a few anchors unfold to "
    "gigabytes.",
)
MERGE = Rule(
    "IN009",
    "error",
    "A merge key",
    "Write the keys out, so that a diff shows what changes.",
    why="Settings would come from another place of the file: a reviewer would approve what the diff does not show.",
)
DIRECTIVE = Rule(
    "IN010",
    "error",
    "A YAML directive",
    "Remove lines that begin with `%`; what follows was not read.",
    why="The same lines would mean something else here than in every other file.",
)
COMPLEX = Rule(
    "IN011",
    "error",
    "A key that is not text",
    "Put it in quotes if it begins with `[`, `{` or `*`.",
    why="A list or an unquoted `{{ … }}` stands where a name belongs: what is written under it would be set "
    "for nobody.",
)
SECOND = Rule(
    "IN012",
    "error",
    "More than one document",
    "Keep one, and remove the line `---` and what follows.",
    why="All below the `---` would be left out in silence, and with it mailboxes that somebody thinks are there.",
)
TOP = Rule(
    "IN013",
    "error",
    "The file holds no keys",
    "Write `key: value` lines at its top level.",
    why="An emptied file must not read as a domain without mailboxes: all of them would be retired.",
)
EMPTY_KEY = Rule(
    "IN014",
    "error",
    "An empty key",
    "Write the key before the colon.",
    why="The value belongs to no setting: whoever wrote it thinks that something is set which is not.",
)
DUPLICATE = Rule(
    "IN015",
    "error",
    "A key stands twice",
    "Keep one; capitals make no difference.",
    why="Readers of YAML keep one of the two in silence: a mailbox would have the owner or quota that nobody "
    "looked at.",
)
EMPTY = Rule(
    "IN016",
    "error",
    "A key without a value",
    "Write the value, or take the key away.",
    why="A line left unfinished would read as `null`, which says something: `mail: null` takes a domain out "
    "of our hands.",
)
NUMBER = Rule(
    "IN017",
    "error",
    "A number with too many digits",
    "Put it in quotes if it is text.",
    why="Programs round a number that long: an id or a telephone number would come out as another one.",
)
MORE = Rule(
    "IN018",
    "error",
    "More findings than are shown",
    "Correct the ones before this one, then validate again.",
    why="The list is cut: when all that is shown is corrected, the file still stops its tenant.",
)
UNKNOWN = Rule(
    "IN020",
    "error",
    "An unknown key",
    "Correct it, or take it away.",
    why="A misspelled key does nothing: the quota or the end date would not hold, and nobody would notice.",
)
MISSING = Rule(
    "IN021",
    "error",
    "A key is missing",
    "Write it here.",
    why="Who answers for it, where it leads or when it ends cannot be guessed: a forward without an end stays "
    "for years.",
)
TYPE = Rule(
    "IN022",
    "error",
    "A value of the wrong type",
    "Write one of the right type.",
    why="A guess would set something else: a quota of `5` may be bytes or gigabytes.",
)
CHOICE = Rule(
    "IN023",
    "error",
    "Not one of the values to choose from",
    "Write one of them.",
    why="A word that no server knows would do nothing: a mailbox that shall be blocked would stay open.",
)
FORM = Rule(
    "IN024",
    "error",
    "A value of the wrong form",
    "Write it in that form.",
    why="Read loosely it becomes something else: `5GB` is less than `5 GiB`, and `01/02/2027` is one of two days.",
)
BOUND = Rule(
    "IN025",
    "error",
    "Too little or too much",
    "Write more, or less.",
    why="An alias without a target loses its mail, and what is too long is cut off or refused by a server.",
)
NO_DAY = Rule(
    "IN026",
    "error",
    "A day that no calendar has",
    "Write one that exists.",
    why="Programs move such a day to a neighbour or drop it: a forward would end on another day, or never.",
)
PASSWORD = Rule(
    "IN027",
    "error",
    "A password in a file",
    "Take the key away, and change that password: Git keeps what was committed once. The owner of a mailbox sets its "
    "password; what a provider needs stands in reconciler.yaml as `{env: NAME}` or `{file: NAME}`.",
    why="Everybody with a clone has it, in old commits too: one lost laptop opens the mailbox.",
)
ZONE_TYPE = Rule(
    "IN028",
    "error",
    "NS and SOA are not managed",
    "Ask whoever runs the zone to change it.",
    why="They decide who answers for the zone: a wrong one takes the whole domain off the net, its web site too.",
)
