"""``mlsecops keygen``: a signing key, its public half, and who it is in a trust policy."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_mlsecops.cli.arguments import Command, UsageError
from airflow_mlsecops.cli.exit_codes import ExitCode
from airflow_mlsecops.cli.output import Answer, Line, Style, Styled
from airflow_mlsecops.cli.passphrases import add_passphrase_options, passphrase_of
from airflow_mlsecops.core.errors import ConfigurationError


class KeygenError(ConfigurationError):
    """A file can't be made; nothing was left behind."""

    code = "keygen"


@dataclass(frozen=True)
class _NewFile:
    path: Path
    data: bytes
    mode: int


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT.pem", help="the private key; the public one becomes OUT.pub")
    add_passphrase_options(parser)
    parser.add_argument("--trust", metavar="FILE", help="also write a trust policy that knows this signer alone")
    parser.add_argument("--name", metavar="NAME", help="the signer's name there; by default OUT")
    parser.add_argument(
        "--roles",
        metavar="ROLES",
        help=(
            "what it may sign, with commas: control, control:NAME, provenance, sign, ask, approve, gate, revoke, "
            "describe, waiver, promote, alarm"
        ),
    )
    parser.add_argument("--person", metavar="ID", help="whose own key it is, by the id that requests name them")


def _run(args: argparse.Namespace) -> Answer:
    """Everything that can be wrong is found before the key is made; nothing is ever overwritten."""
    from airflow_mlsecops.core.signing import generate_key
    from airflow_mlsecops.core.trust_document import trust_document, trust_entry

    private, public = Path(args.out), _public_path(Path(args.out))
    roles = _roles(args.roles)
    if args.trust is not None and not roles:
        raise UsageError("--trust needs --roles: what may this key sign?", "e.g. --roles control,provenance,sign")
    person = args.person if args.person is not None else ""
    if args.person is not None and (not roles or not person.strip()):
        raise UsageError("--person needs an id, and --roles", "e.g. --roles approve --person alice")
    targets = [private, public, *([Path(args.trust)] if args.trust is not None else [])]
    _check_free(targets)
    name = args.name if args.name is not None else private.stem
    passphrase = passphrase_of(args)
    pem, key = generate_key(passphrase.encode() if passphrase is not None else None)
    files = [_NewFile(private, pem, 0o600), _NewFile(public, key.pem.encode(), 0o644)]
    document = trust_document(name, key, roles, person=person) if roles else ""
    if args.trust is not None:
        files.append(_NewFile(Path(args.trust), document.encode(), 0o644))
    _create_all(files)
    whose = {"person": person} if person else {}
    answer: dict[str, Any] = {
        "private_key": str(private),
        "public_key": str(public),
        "signer": f"file:{private.absolute()}",
        "key_hint": key.hint,
        "encrypted": passphrase is not None,
        "trust_policy": args.trust,
        "trust_entry": {"name": name, "public_key": key.pem, "roles": roles, **whose} if roles else None,
    }
    entry = trust_entry(name, key, roles, person).splitlines() if roles and args.trust is None else []
    return Answer(ExitCode.YES, answer, _lines(answer, entry))


def _lines(answer: dict[str, Any], entry: Sequence[str]) -> list[Line]:
    encrypted = "encrypted" if answer["encrypted"] else Styled("NOT encrypted: whoever reads it can sign", Style.LOUD)
    lines: list[Line] = [
        ["private key  ", answer["private_key"], "  (", encrypted, ")"],
        f"public key   {answer['public_key']}",
        f"key hint     {answer['key_hint']}",
        f"signer       {answer['signer']}",
    ]
    if answer["trust_policy"] is not None:
        lines.append(f"trust policy {answer['trust_policy']}")
    elif entry:
        lines += ["", "to trust it, add this under 'signers:' of the trust policy:", *entry]
    else:
        lines += ["", "to have its entry in a trust policy printed, say what it may sign: --roles control,sign,…"]
    return lines


def _public_path(private: Path) -> Path:
    if not private.name:
        raise UsageError("OUT.pem names no file", "give a file name, e.g. keys/pipeline.pem")
    return private.with_suffix(".pub") if private.suffix == ".pem" else private.with_name(private.name + ".pub")


def _roles(text: str | None) -> list[str]:
    if text is None:
        return []
    roles = [role.strip() for role in text.split(",")]
    if not all(roles) or len(set(roles)) != len(roles):
        raise UsageError(f"--roles {text!r}: an empty role, or one that stands twice", "e.g. --roles control,sign")
    return roles


def _check_free(targets: Sequence[Path]) -> None:
    if len({os.path.abspath(path) for path in targets}) != len(targets):  # noqa: PTH100 - links stay links
        raise UsageError("private key, public key and trust policy need different names", "change one of them")
    for path in targets:
        if path.is_symlink() or path.exists():
            raise _exists(path)
        if not path.parent.is_dir():
            raise UsageError(f"there is no folder {path.parent}", "make it first, readable by you alone")


def _create_all(files: Sequence[_NewFile]) -> None:
    """Make all files or none: what was made before a failure (or Ctrl-C) is removed again."""
    made: list[Path] = []
    try:
        for file in files:
            # O_EXCL: whoever was quicker keeps the name, and a link isn't followed.
            descriptor = os.open(file.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, file.mode)
            made.append(file.path)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(file.data)
                stream.flush()
                os.fsync(stream.fileno())
    except BaseException as error:
        for path in made:
            path.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            raise _exists(Path(error.filename)) from error
        if isinstance(error, OSError):
            raise KeygenError(
                f"{error.filename or 'a file'} can't be written: {error.strerror}", "try another place"
            ) from error
        raise


def _exists(path: Path) -> UsageError:
    return UsageError(
        f"{path} exists, and keygen overwrites nothing; no key was made",
        "choose another name; to add a signer to a trust policy, leave --trust out and paste what is printed",
    )


COMMAND = Command(
    path=("keygen",),
    summary="make a signing key",
    usage="OUT.pem [--passphrase-env VAR | --passphrase-file FILE | --no-passphrase]\n"
    "                       [--trust FILE] [--name NAME] [--roles ROLES] [--person ID]",
    description=(
        "Make an ECDSA P-256 key pair: OUT.pem (readable by you alone) and OUT.pub. The private key is encrypted\n"
        "with a passphrase, which is asked for in the terminal unless an option says where it is. With --trust\n"
        "also write a trust policy; with --roles alone print the entry to paste into one. Existing files are\n"
        "never overwritten.\n\n"
        "One key that may do everything is one that can release anything: give 'approve' and 'gate' to other\n"
        "keys than 'control' and 'sign' where you can. A person's own key approves at the level 'signed': make it\n"
        "with --roles approve --person ID, on the person's own machine."
    ),
    configure=_configure,
    run=_run,
)
