"""Names, calls and states: where a pickle gets its power, and where almost everything is refused."""

from __future__ import annotations

import re

from airflow_mlsecops.core.scanning.allow_list import Allowed, Use
from airflow_mlsecops.core.scanning.pickles.arrays import pass_array
from airflow_mlsecops.core.scanning.pickles.dtypes import with_state
from airflow_mlsecops.core.scanning.pickles.reconstructors import reconstruct
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal
from airflow_mlsecops.core.scanning.pickles.state import State
from airflow_mlsecops.core.scanning.pickles.tensors import layer_of, storage_of
from airflow_mlsecops.core.scanning.pickles.values import DATA, DENIED, OLD_DICT, TEXT, TUPLE, Dict, DType, Global, Made

TAKES_ITEMS = {("collections", "deque")}
TAKES_KEYS = {("collections", "OrderedDict"), ("collections", "defaultdict"), ("collections", "Counter")}
TAKES_KEYS_TOO = {("sklearn.utils._bunch", "Bunch")}
WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
ROW_NAMES = {b"_fit_X", b"X_fit_", b"X_train_", b"support_vectors_", b"_raw_data", b"_y_train", b"y_train_"}
_PLAIN_MODULE = re.compile(rb"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_PLAIN_NAME = re.compile(rb"[A-Za-z_]\w*")


def _no_name(*values: object) -> bool:
    """Whether one of the values can't be text, so that CPython refuses it as a name too."""
    return any(value.__class__ is not bytes and value not in (TEXT, DATA) for value in values)


def _check_tuple(args: object) -> None:
    """Arguments come in a tuple.

    Raises:
        Refusal: if they don't, as CPython would.
    """
    if args.__class__ is not tuple and args is not TUPLE:
        raise Refusal("malformed", "arguments that are no tuple", certain=args is not DATA)


class Objects(State):
    """GLOBAL, REDUCE, NEWOBJ, BUILD."""

    def global_lines(self) -> None:
        """GLOBAL: module and name on two lines."""
        module, self.pos = self.reader.line(self.pos)
        name, self.pos = self.reader.line(self.pos)
        self.stack.append(self.named(module, name))

    def stack_global(self) -> None:
        """STACK_GLOBAL: module and name from the stack, wherever they came from."""
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, bytes) or not isinstance(module, bytes):
            raise Refusal(
                "malformed", f"a name that isn't plain text: {module!r}, {name!r}", certain=_no_name(module, name)
            )
        self.stack.append(self.named(module, name))

    def named(self, module: bytes, name: bytes) -> object:
        """What the name stands for: an allowed name, or something denied."""
        known = self.known.get((module, name))
        if known is not None:
            return known
        text = f"{module.decode(errors='replace')}.{name.decode(errors='replace')}"[:200]
        if len(self.reading.globals) >= self.limits.kept:
            raise Refusal("too-large", "more names than are kept")
        self.reading.globals[text] = None
        allowed = self.allow_list.find(module, name)
        value: object = DENIED if allowed is None else Global(allowed)
        if allowed is None:
            plain = _PLAIN_MODULE.fullmatch(module) and _PLAIN_NAME.fullmatch(name)
            if b"." in name:
                self.hit("dotted-name", f"{text!r}: a name with a dot reaches into whatever a module imported")
            else:
                self.hit(
                    "global-not-allowed", f"{text!r} is no allowed class" + ("" if plain else ", nor a plain name")
                )
        self.known[module, name] = value
        return value

    def callee(self, value: object, what: str) -> Allowed | None:
        """The allowed name that is to be used, or None after noting why it may not be."""
        if isinstance(value, Global):
            return value.allowed
        if value is DENIED:
            self.hit("call-not-allowed", f"{what} of a name that isn't allowed")
        elif value.__class__ in (bytes, int, tuple):
            raise Refusal("computed-callable", f"{what} of text, a number or a tuple", certain=True)
        else:
            self.hit("computed-callable", f"{what} of something that isn't a name: {value!r}")
        return None

    def reduce(self) -> None:
        """REDUCE: an allowed class that may be called, or a reviewed function with the arguments of a pickler."""
        args, function = self.stack.pop(), self.stack[-1]
        _check_tuple(args)
        allowed = self.callee(function, "a call")
        if allowed is None or not isinstance(function, Global):
            self.stack[-1] = DENIED
            return
        if Use.REBUILD in allowed.uses:
            self.stack[-1] = self._rebuilt(function, args)
        elif Use.CALL in allowed.uses:
            self.stack[-1] = Made(function)
        else:
            self.hit("call-not-allowed", f"{allowed} may not be called")
            self.stack[-1] = DENIED

    def _rebuilt(self, function: Global, args: object) -> object:
        try:
            if not isinstance(args, tuple):
                raise Refusal("arguments-not-allowed", f"the arguments of {function.allowed} aren't known")
            return reconstruct(function, args)
        except Refusal as refusal:
            self.hit(refusal.rule, refusal.message)
            return DENIED

    def newobj(self) -> None:
        """NEWOBJ: ``cls.__new__(cls, *args)``."""
        _check_tuple(self.stack.pop())
        self._new()

    def newobj_ex(self) -> None:
        """NEWOBJ_EX: with keyword arguments.

        Raises:
            Refusal: if they aren't in a dictionary.
        """
        keywords = self.stack.pop()
        if keywords is not OLD_DICT and not isinstance(keywords, Dict):
            raise Refusal("malformed", "keyword arguments that are no dictionary")
        _check_tuple(self.stack.pop())
        self._new()

    def _new(self) -> None:
        kind = self.stack[-1]
        allowed = self.callee(kind, "making an object")
        if allowed is not None and isinstance(kind, Global):
            if Use.NEW in allowed.uses:
                self.stack[-1] = Made(kind)
                return
            self.hit("call-not-allowed", f"no object of {allowed} may be made")
        self.stack[-1] = DENIED

    def build(self) -> None:
        """BUILD: the state of an object that has just been made, once."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, DType):
            self.stack[-1] = with_state(target, state)
        elif isinstance(target, Made):
            if isinstance(state, Dict):
                self.reading.row_names.update(
                    key.decode() for key in state.items[::2] if isinstance(key, bytes) and key in ROW_NAMES
                )
            made = target.of.allowed
            self.stack[-1] = target.old
            if (made.module, made.name) == WRAPPER:
                self.stack[-1] = pass_array(self, state)
        else:
            if target is not DENIED:
                what = f"the name {target.allowed}" if isinstance(target, Global) else repr(target)
                self.hit("build-not-allowed", f"a state is set on {what}, which isn't an object that was just made")
            self.stack[-1] = DENIED

    def change(self, target: object, how: str) -> None:
        """Items or keys for something that is neither a fresh list nor a fresh dictionary."""
        if isinstance(target, Made):
            made = (target.of.allowed.module, target.of.allowed.name)
            allowed = TAKES_ITEMS if how == "takes items" else TAKES_KEYS | TAKES_KEYS_TOO
            if how != "takes members" and made in allowed:
                return
        if target is not DENIED:
            self.hit("mutation-not-allowed", f"{target!r} {how}, and isn't a container that was just made")

    def storage(self, pid: object) -> object:
        """A persistent id: only torch has any, for storages and, before it used zip, for classes of layers.

        Raises:
            Refusal: if it is none of torch's.
        """
        if not self.tensors:
            raise Refusal("persistent-id", "a persistent id outside of a torch file")
        layer = layer_of(pid)
        if layer is not None:
            return layer
        found = storage_of(pid)
        self.reading.storages[found.key] = max(self.reading.storages.get(found.key, 0), found.numel * found.itemsize)
        return found
