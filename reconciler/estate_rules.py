"""The rules that `history`, `estate`, `templates` and `compile` apply: what must be there, and fit together."""

from __future__ import annotations

from reconciler.findings import Rule

TWO_TENANTS = Rule(
    "IN202",
    "error",
    "Two tenants hold one domain",
    "A domain belongs to one tenant; take it out of the other.",
    why="Each of the two would undo what the other one's files say, and one client would get the other's mail.",
)
TWICE = Rule(
    "IN203",
    "error",
    "One name, two meanings",
    "A name stands once over mailboxes, shared, aliases and forwards.",
    why="Mail to that name would go past one of the two, and its owner would wait for it in vain.",
)
NOT_ALONE = Rule(
    "IN233",
    "error",
    "A CNAME stands alone at its name",
    "Take it or the others out; `mode: drop` takes out what the template sets (RFC 2181).",
    why="Servers refuse such a zone or ignore what stands beside the CNAME: an MX there would not be found.",
)
NO_TEMPLATE = Rule(
    "IN206",
    "error",
    "Template is not defined",
    "Add it under domain-templates/, or correct the name.",
    why="Without its template the domain would declare neither MX nor SPF nor DMARC, and they would be removed.",
)
NO_SIGNER = Rule(
    "IN229",
    "error",
    "Nobody would sign",
    "Take `dkim` out, or say which mail provider the domain has.",
    why="No key is made and nothing is signed although the file says so: under a strict DMARC policy, "
    "forwarded mail is rejected.",
)
EXPRESSION = Rule(
    "IN230",
    "error",
    "Expression not allowed in a template",
    "Use names, attributes, constants and the filters join, default, lower, upper.",
    why="A template speaks for every client that uses it: one that computes could stall all plans or reach "
    "into the program.",
)
UNDEFINED = Rule(
    "IN231",
    "error",
    "Template cannot be filled in",
    "Say the missing parameter under `with`, or the missing fact under `servers`.",
    why="The record would go out with a hole in it: an SPF with an empty `include:` fails for all that the "
    "client sends.",
)
PARAMETER = Rule(
    "IN232",
    "error",
    "Not a value for this parameter",
    "See the template's `parameters` for what it takes.",
    why="It would end in public DNS as it stands: receivers take a misspelled DMARC policy for none.",
)
NO_REPOSITORY = Rule(
    "IN301",
    "error",
    "Not a Git repository",
    "Run `git init` here and commit the estate, or name its folder with --estate.",
    why="What is applied is a commit, which can be reviewed and taken back; without Git there is neither.",
)
NO_COMMIT = Rule(
    "IN302",
    "error",
    "No such commit",
    "Commit the estate first, or correct the name after --rev.",
    why="With a guess in its place, another state than the one that was reviewed would be applied.",
)
NO_FOLDER = Rule(
    "IN303",
    "error",
    "No such folder",
    "Name the estate's folder with --estate.",
    why="Nothing is read: a nightly run with that path looks after no client until it is corrected.",
)
NO_ESTATE = Rule(
    "IN304",
    "error",
    "Not an estate",
    "Make one with `reconciler init DIR`, or name its folder with --estate.",
    why="A wrong folder must not read as an estate without clients: all of them would be taken out.",
)
NO_CANARY = Rule(
    "IN235",
    "warning",
    "No such canary",
    "Correct the name under `rollout`: without it nobody goes first.",
    why="A bad change that was to stop at the canary would reach a whole wave of clients.",
)
NO_SIGNERS = Rule(
    "IN237",
    "error",
    "No file of allowed signers",
    "Commit it, or correct `allowed_signers`: a path inside the estate.",
    why="Without the list no signature can be judged: whoever can push could write a ledger that has "
    "mailboxes removed.",
)
