#!/usr/bin/env python3
"""Writes Spork as two files, for projects that keep their libraries as source:

    scripts/amalgamate.py [--lines] [OUTPUT_DIR]        (default: build/amalgamation)

spork.h is all public headers as one; spork.c is the whole library, for every system. --lines: with #line directives, by which
compilers and debuggers name the places in src/.

Which files there are is read where it stands already: in CMakeLists.txt, and for the alternatives of src/posix in
cmake/SporkProbes.cmake, whose ifs become #ifs. What CMake probes is decided by src/fallback/spork_config.h.

One translation unit instead of many changes two things:
 - Names that were one file's own (static, types, enumerators, macros) meet: in spork.c they carry the file's name, as in
   `queue__send`. Names that begin with spork_ are unique already.
 - Functions that the files share among themselves (spork__...) become static, so that a program which has spork.c in it
   exports, and collides with, nothing but the public API.
"""
import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONFIG = "src/fallback/spork_config.h"

# What of src/ has no place in it.
LEFT_OUT = {
    "src/host/spork-host.c": "a program of its own",
    CONFIG: "put in first",
}
# Probes for the linker and the compiler, not for the sources.
NOT_FOR_SOURCES = {"SPORK_HAVE_PE_BUILD_ID", "SPORK_HAVE_NO_PLT"}


def refuse(sentence):
    sys.exit("amalgamate.py: " + sentence)


def read(path):
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except OSError as error:
        refuse(f"{path} cannot be read: {error.strerror}")


# ---- tokens -------------------------------------------------------------------------------------------------------------

TOKEN = re.compile(
    r"""(?P<comment> //[^\n]* | /\*.*?\*/ )
      | (?P<text> (?:u8|[uUL])?"(?:\\.|[^"\\\n])*" | [uUL]?'(?:\\.|[^'\\\n])*' )
      | (?P<name> [A-Za-z_]\w* )
      | (?P<number> \.?\d(?:[eEpP][+-]|[\w.])* )
      | (?P<space> (?:[ \t\r\f]|\\\n)+ )
      | (?P<end> \n )
      | (?P<mark> -> | \.\.\. | \#\# | . )""",
    re.VERBOSE | re.DOTALL,
)


class Token:
    __slots__ = ("kind", "text", "line", "directive")

    def __init__(self, kind, text, line, directive):
        self.kind, self.text, self.line = kind, text, line  # a kind of TOKEN's, or "hash": it begins a directive
        self.directive = directive  # None; or the directive that it is part of: "define", "if" ...


def tokenize(text):
    tokens, line, directive, fresh = [], 1, None, True  # fresh: nothing but blanks so far on this line
    for match in TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "end":
            directive, fresh = None, True
        elif kind == "mark" and match.group() == "#" and fresh:
            kind, directive = "hash", re.compile(r"[ \t]*(\w*)").match(text, match.end()).group(1)
        if kind not in ("end", "space", "comment"):
            fresh = False
        tokens.append(Token(kind, match.group(), line, directive))
        line += match.group().count("\n")
    return tokens


def significant(tokens):
    return [t for t in tokens if t.kind not in ("space", "comment", "end")]


def directives(tokens):
    """Each directive as its line number, its word, and its further significant tokens' texts."""
    found = []
    for token in significant(tokens):
        if token.kind == "hash":
            found.append((token.line, token.directive, []))
        elif token.directive is not None:
            found[-1][2].append(token.text)
    return [(line, word, texts[1:]) for line, word, texts in found]  # the first text is the word


# ---- what a file declares --------------------------------------------------------------------------------------------------

GROUPS = {"(": ")", "[": "]", "{": "}"}
WITH_ARGUMENTS = {"__attribute__", "__declspec", "_Alignas", "_Atomic", "typeof", "__typeof__"}
AGGREGATES = {"struct", "union", "enum"}
QUALIFIERS = {"const", "volatile", "restrict", "_Atomic", "*"}


def group_end(tokens, at):
    """The place behind the group that is opened at `at`."""
    depth = 0
    while at < len(tokens):
        depth += (tokens[at].text in GROUPS) - (tokens[at].text in GROUPS.values())
        at += 1
        if depth == 0:
            break
    return at


class Item:
    """A declaration or definition at file scope; a function's body is left out."""

    def __init__(self, tokens):
        self.tokens = tokens
        self.flat = self._flat()
        self.storage = {t.text for t in self.flat} & {"static", "typedef", "extern"}

    def _flat(self):
        """Without what stands in braces and in attributes."""
        flat, at = [], 0
        while at < len(self.tokens):
            text = self.tokens[at].text
            follows = self.tokens[at + 1].text if at + 1 < len(self.tokens) else ""
            if text in WITH_ARGUMENTS and follows == "(":
                at = group_end(self.tokens, at + 1)
            elif text == "{":
                at = group_end(self.tokens, at)
            else:
                flat.append(self.tokens[at])
                at += 1
        return flat

    def names(self):
        """What it declares: functions, variables, or types by typedef."""
        if self.flat[0].text == "_Static_assert":
            return []
        names, declarator, depth = [], [], 0
        for token in self.flat + [Token("mark", ",", 0, None)]:
            depth += (token.text in "([") - (token.text in ")]")
            if token.text == "," and depth == 0:
                names.append(self._name(declarator))
                declarator = []
            elif token.text != ";":
                declarator.append(token)
        if len(names) == 1 and len(self.flat) <= 3 and self.flat[0].text in AGGREGATES:
            return []  # `struct tag;` alone
        return [name for name in names if name is not None]

    @staticmethod
    def _name(declarator):
        texts = [t.text for t in declarator]
        if "=" in texts:
            texts = texts[: texts.index("=")]
        at = next((at for at, text in enumerate(texts) if text in ("(", "[")), None)
        if at is None:
            return texts[-1] if texts else None
        if texts[at : at + 2] == ["(", "*"]:  # a pointer to a function: `(*name)(`
            return next(text for text in texts[at + 2 :] if text not in QUALIFIERS)
        end = group_end(declarator, at)
        if texts[at] == "(" and end == len(texts) - 1:  # `MACRO(type) name`
            return texts[end]
        return texts[at - 1]

    def tags_and_enumerators(self):
        found = []
        for at, token in enumerate(self.tokens[:-1]):
            if token.text not in AGGREGATES:
                continue
            brace = at + 1
            if self.tokens[at + 1].kind == "name" and at + 2 < len(self.tokens):
                brace = at + 2
            if self.tokens[brace].text != "{":
                continue
            if brace == at + 2:
                found.append(self.tokens[at + 1].text)
            if token.text == "enum":
                found += self._enumerators(brace)
        return found

    def _enumerators(self, brace):
        found, depth, end = [], 0, group_end(self.tokens, brace)
        for before, token in zip(self.tokens[brace:end], self.tokens[brace + 1 : end]):
            depth += (before.text in "([{") - (before.text in ")]}")
            if depth == 1 and before.text in "{," and token.kind == "name":
                found.append(token.text)
        return found


def items(tokens):
    """The items of a file. Of alternatives (#if, #else) each begins where the first did."""
    found, item, depth, in_body, saved = [], [], 0, False, []
    for token in significant(tokens):
        if token.directive is not None:
            if token.kind == "hash" and token.directive in ("if", "ifdef", "ifndef"):
                saved.append((list(item), depth, in_body))
            elif token.kind == "hash" and token.directive in ("else", "elif"):
                item, depth, in_body = list(saved[-1][0]), *saved[-1][1:]
            elif token.kind == "hash" and token.directive == "endif":
                saved.pop()
            continue
        if token.text == "{":
            in_body = in_body or (depth == 0 and item and item[-1].text == ")")
            depth += 1
        if not in_body:
            item.append(token)
        if token.text == "}":
            depth -= 1
        if depth == 0 and (token.text == ";" or (token.text == "}" and in_body)):
            if token.text != ";" or len(item) > 1:
                found.append(Item(item))
            item, in_body = [], False
    return found


def macros(tokens):
    """The macros that a file defines: its own, and those that stand in for what the system's headers may lack (#ifndef X,
    #define X), each with its text."""
    own, stand_in, before = set(), {}, None
    for _, word, rest in directives(tokens):
        if word == "define":
            if before == ("ifndef", rest[:1]):
                stand_in[rest[0]] = " ".join(rest[1:])
            else:
                own.add(rest[0])
        before = (word, rest)
    return own, {name: text for name, text in stand_in.items() if name not in own}


def members(tokens):
    """Tokens that name a member: behind . and ->, in offsetof, and where a struct declares it."""
    found, braces, code = set(), [], significant(tokens)
    parens = 0
    for at, token in enumerate(code):
        before, after = (code[at - 1].text if at > 0 else ""), (code[at + 1].text if at + 1 < len(code) else "")
        if token.kind == "name":
            if before in (".", "->"):
                found.add(token)
            elif before == "," and after == ")" and "offsetof" in [t.text for t in code[max(at - 5, 0) : at]]:
                found.add(token)
            elif braces and braces[-1] is not None and token.directive is None:
                inside = parens == braces[-1]
                if inside and after in (";", ",", "[", ":") and before != ":":
                    found.add(token)
                elif parens == braces[-1] + 1 and before == "*" and after == ")":
                    found.add(token)  # (*name)(...)
        if token.directive is not None:
            continue
        parens += (token.text in "([") - (token.text in ")]")
        if token.text == "{":
            opens = {code[at - 1].text, code[at - 2].text if code[at - 1].kind == "name" else ""}
            braces.append(parens if opens & {"struct", "union"} else None)
        elif token.text == "}":
            braces.pop()
    return found


def is_ours(name):
    return name.startswith(("spork_", "SPORK_"))


# ---- files ------------------------------------------------------------------------------------------------------------------


class Source:
    """A file of src/, made fit to stand beside the others: `lines` are (text, number), without its guard and what is for C++."""

    def __init__(self, path, public_names):
        self.path = path
        self.tokens = tokenize(read(path))
        self.dropped = self._guard() if path.endswith(".h") else set()
        self.dropped |= self._for_cpp()
        code = [t for t in self.tokens if t.line not in self.dropped]
        self.items = items(code)
        self.own_macros, self.stand_ins = macros(code)
        if path.endswith(".h"):
            self._check_names(self._local_names())
        else:
            self._prefix(self._local_names())
        self._make_static(public_names)
        text = "".join(t.text for t in self.tokens)
        self.lines = [
            (line.rstrip(), number) for number, line in enumerate(text.split("\n"), 1) if number not in self.dropped
        ]
        self.includes, self.depths = self._includes()

    def _guard(self):
        all_of_them = directives(self.tokens)
        if len(all_of_them) < 3 or [d[1] for d in all_of_them[:2]] != ["ifndef", "define"]:
            refuse(f"{self.path} has no include guard")
        return {all_of_them[0][0], all_of_them[1][0], all_of_them[-1][0]}

    def _for_cpp(self):
        """spork.c is C: the lines of #ifdef __cplusplus, and the directives about it."""
        dropped, stack, all_of_them = set(), [], directives(self.tokens)
        for line, word, rest in all_of_them:
            if line in self.dropped:
                continue
            if word in ("if", "ifdef", "ifndef"):
                about = rest == ["__cplusplus"] and word in ("ifdef", "ifndef")
                if "__cplusplus" in rest and not about:
                    refuse(f"{self.path}:{line}: only #ifdef __cplusplus and #ifndef __cplusplus are understood")
                stack.append([about, word == "ifdef", line])
                dropped |= {line} if about else set()
            elif word in ("else", "elif", "endif") and stack[-1][0]:
                _, for_cpp, begin = stack[-1]
                dropped |= set(range(begin, line)) if for_cpp else set()
                dropped.add(line)
                stack[-1] = [True, not for_cpp, line]
            if word == "endif":
                stack.pop()
        return dropped

    def _local_names(self):
        names = set(self.own_macros)
        for item in self.items:
            names.update(item.tags_and_enumerators())
            if item.storage & {"static", "typedef"}:
                names.update(item.names())
        return {name for name in names if not is_ours(name)}

    def _check_names(self, names):
        for name in sorted(names):
            refuse(f"{self.path} declares {name} for all who include it: its name has to begin with spork_ or SPORK_")

    def _prefix(self, names):
        label = self.path[len("src/") : -len(".c")].replace("/", "_").replace("-", "_")
        skip, code = members(self.tokens), significant(self.tokens)
        for at, token in enumerate(code):
            if token.kind != "name" or token.text not in names or token in skip or token.directive == "include":
                continue
            if "##" in (code[at - 1].text, code[at + 1].text):
                refuse(f"{self.path}:{token.line}: {token.text} is one half of a name that ## makes")
            token.text = f"{label}__{token.text}"

    def _make_static(self, public_names):
        for item in self.items:
            names = [] if item.storage & {"static", "typedef"} else item.names()
            for name in names:
                if not is_ours(name) and "extern" not in item.storage:
                    refuse(f"{self.path} defines {name}, which is neither static nor Spork's by name")
            if not any(name.startswith("spork__") and name not in public_names for name in names):
                continue
            first = item.flat[0]
            first.text = "static" if first.text == "extern" else "static " + first.text

    def _includes(self):
        """The included of each line, and how deep each line is in #ifs."""
        includes, depths, depth, words = {}, {}, 0, {}
        for line, word, rest in directives(self.tokens):
            words[line] = word
            if word == "include":
                includes[line] = rest[0][1:-1] if len(rest) == 1 else "<" + "".join(rest[1:-1])
        for _, number in self.lines:
            word = words.get(number, "")
            depth += word in ("if", "ifdef", "ifndef")
            depths[number] = depth
            depth -= word == "endif"
        return includes, depths


# ---- lists of files ------------------------------------------------------------------------------------------------------------


def cmake_words(text):
    return re.sub(r"#[^\n]*", "", text).split()


def cmake_list(text, name):
    match = re.search(r"\bset\(" + name + r"\s([^)]*)\)", text)
    if not match:
        refuse(f"CMakeLists.txt has no set({name} ...)")
    return cmake_words(match.group(1))


def lists_of_cmake():
    """(portable, win32, posix) as CMakeLists.txt has them, as paths."""
    text = read("CMakeLists.txt")
    portable, backend = cmake_list(text, "portable"), cmake_list(text, "backend")
    more = [cmake_words(m) for m in re.findall(r"\blist\(APPEND backend\s([^)]*)\)", text)]
    if len(more) != 2 or sum("${SPORK_ALTERNATIVES}" in words for words in more) != 1:
        refuse("CMakeLists.txt is expected to append to `backend` twice, once with ${SPORK_ALTERNATIVES}")
    win32, posix = sorted(more, key=lambda words: "${SPORK_ALTERNATIVES}" in words)
    posix = [word for word in posix if not word.startswith("$")]
    return (
        [f"src/{name}.c" for name in portable],
        [f"src/win32/{name}.c" for name in backend + win32],
        [f"src/posix/{name}.c" for name in backend + posix],
    )


CONDITION = {"APPLE": "defined(__APPLE__)"}


def alternatives_of_cmake():
    """The ifs of SporkProbes.cmake that choose files: each a list of branches, which are [condition, files], or with a
    sentence in place of the files, what is an error. The condition of an else() is None."""
    chains, stack = [], []
    for line in read("cmake/SporkProbes.cmake").splitlines():
        line = line.split("#")[0].strip()
        if match := re.match(r"(if|elseif|else|endif)\((.*?)\)$", line):
            word, condition = match.groups()
            if word == "if":
                stack.append([])
            if word == "endif":
                chain = stack.pop()
                if any(files for _, files in chain):
                    chains.append(chain)
            else:
                stack[-1].append([condition if word != "else" else None, []])
        elif match := re.match(r"(?:set|list)\((?:APPEND )?SPORK_ALTERNATIVES ([^)]*)\)", line):
            stack[-1][-1][1] += [f"src/posix/{name}.c" for name in match.group(1).split()]
        elif match := re.match(r"message\(FATAL_ERROR (\".*\")\)", line):
            stack[-1][-1][1] = match.group(1)
    # The ones around them (WIN32 and the like) hold no files themselves: they are not in `chains`.
    for chain in chains:
        for branch in chain:
            if branch[0] is not None and not re.fullmatch(r"SPORK_HAVE_\w+", branch[0]):
                if branch[0] not in CONDITION:
                    refuse(f"cmake/SporkProbes.cmake chooses files by if({branch[0]}), which has no meaning here yet")
                branch[0] = CONDITION[branch[0]]
    return chains


def check_config(chains):
    here = set(re.findall(r"#define (SPORK_\w+)", read(CONFIG)))
    template = set(re.findall(r"#(?:cmakedefine01|define) (SPORK_\w+)", read("cmake/spork_config.h.in")))
    probes = set(re.findall(r"SPORK_HAVE_\w+", read("cmake/SporkProbes.cmake"))) - {"SPORK_HAVE_"} - NOT_FOR_SOURCES
    chosen = {condition for chain in chains for condition, _ in chain if condition and condition.startswith("SPORK_")}
    for names, where in ((template - {"SPORK_CONFIG_H"}, "spork_config.h.in"), (probes | chosen, "SporkProbes.cmake")):
        for name in sorted(names - here):
            refuse(f"{name} of cmake/{where} is not in {CONFIG}: it has to say there when that is 1")


def check_all_are_in(used):
    for path in sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "src").rglob("*.[ch]")):
        if path not in used and path not in LEFT_OUT:
            refuse(f"{path} is in no list of CMakeLists.txt and SporkProbes.cmake, nor included by a file that is")


# ---- putting together -------------------------------------------------------------------------------------------------------------


class Output:
    def __init__(self, name):
        self.name = name
        self.lines = []  # (text, origin): origin is (path, number), or None for what the script says

    def say(self, text):
        self.lines += [(line, None) for line in text.rstrip("\n").split("\n")]

    def take(self, text, path, number):
        if text == "" and (not self.lines or self.lines[-1][0] == ""):
            return  # what stood between two blank lines is gone
        self.lines.append((text, (path, number)))

    def banner(self, path):
        if self.lines and self.lines[-1][0] != "":
            self.say("")
        self.say(f"/* ==== {path} {'=' * max(4, 110 - len(path))} */\n")

    def write(self, folder, with_lines):
        out, expected = [], None
        for text, origin in self.lines:
            if with_lines and origin != expected:
                path, number = origin or (self.name, len(out) + 2)
                out.append(f'#line {number} "{path}"')
            out.append(text)
            expected = origin and (origin[0], origin[1] + 1)
        # Binary: the same bytes on every system.
        (folder / self.name).write_bytes(("\n".join(out) + "\n").encode("utf-8"))


class Amalgamation:
    """spork.c. What is seen already, headers of the system and ours, is per branch of the #ifs: they do not see each other."""

    def __init__(self, public_names):
        self.out = Output("spork.c")
        self.public_names = public_names
        self.sources = {}
        self.stand_ins = {}

    def source(self, path):
        if path not in self.sources:
            source = self.sources[path] = Source(path, self.public_names)
            for name, text in source.stand_ins.items():
                if self.stand_ins.setdefault(name, text) != text:
                    refuse(f"{path} defines {name} as \"{text}\", another file as \"{self.stand_ins[name]}\"")
        return self.sources[path]

    def resolve(self, path, name):
        """The file that #include "name" means in `path`: beside it, in src, or in the backend's folder (as CMakeLists.txt
        says by -iquote). None: the configuration, which is at the top already."""
        if name == "spork_config.h":
            return None
        beside = (ROOT / path).parent / name
        for file in (beside, ROOT / "src" / name):
            if file.is_file():
                return file.resolve().relative_to(ROOT).as_posix()
        refuse(f"{path} includes \"{name}\", which is nowhere")

    def put(self, path, seen):
        source = self.source(path)
        seen.add(path)
        # The headers that come in with it stand before it: each is a section of its own.
        for line, name in source.includes.items():
            if not name.startswith("<"):
                self.put_header(source, line, name, seen)
        self.out.banner(path)
        for text, number in source.lines:
            if number not in source.includes or self.keeps(source, number, seen):
                self.out.take(text, path, number)

    def put_header(self, source, line, name, seen):
        path = self.resolve(source.path, name)
        if path is None or path in seen:
            return
        if source.depths[line] > 0:
            refuse(f"{source.path}:{line}: {path} comes in for the first time inside an #if, and would be missing elsewhere")
        self.put(path, seen)

    @staticmethod
    def keeps(source, line, seen):
        """Whether an #include line stays: one of the system's, the first time."""
        name = source.includes[line]
        if not name.startswith("<") or name.startswith("<spork/") or name in seen:
            return False
        if source.depths[line] == 0:
            seen.add(name)
        return True

    def put_all(self, paths, seen):
        for path in paths:
            self.put(path, seen)

    def put_chain(self, chain, seen):
        word = "if"
        for condition, files in chain:
            self.out.say("\n#else" if condition is None else f"\n#{word} {condition}")
            if isinstance(files, str):
                self.out.say(f"#error {files}")
            else:
                self.put_all(files, set(seen))
            word = "elif"
        self.out.say("\n#endif")


def public_header(out, path, seen):
    """A public header with those that it includes; the guards stay, and so does the C++."""
    seen.append(path)
    text = read(path)
    included = {line: rest[0][1:-1] for line, word, rest in directives(tokenize(text)) if word == "include" and len(rest) == 1}
    out.banner(path)
    continued = False  # another header came in between
    for number, line in enumerate(text.rstrip("\n").split("\n"), 1):
        if number not in included:
            if continued and line != "":
                out.banner(f"{path}, continued")
                continued = False
            out.take(line, path, number)
            continue
        other = f"include/spork/{included[number]}"
        if other not in seen:
            public_header(out, other, seen)
            continued = True


def version():
    text = read("include/spork/base.h")
    return ".".join(re.search(rf"#define SPORK_VERSION_{part} (\d+)", text).group(1) for part in ("MAJOR", "MINOR", "PATCH"))


HEAD = """\
/* {name}: Spork {version}, multiprocessing for C, as two files: spork.h and spork.c. {what}
 *
 *     cc -std=c11 -O2 -c spork.c                              once; then, with a program that includes "spork.h":
 *     cc program.c spork.o -pthread                           Linux (with a glibc before 2.34 also -ldl), macOS, BSD
 *     x86_64-w64-mingw32-gcc program.c spork.o -lbcrypt -lpsapi -Wl,--build-id         Windows
 *
 * It is the same library as the one that Spork's CMake builds, except that it has no spork-host: plug-ins, whose host's main
 * is not theirs, need the installed library. What CMake finds out by trying is decided by macros here; each SPORK_HAVE_ can be set
 * by -D. The files are generated from Spork's sources (scripts/amalgamate.py): change those.
 *
 * MIT licence; its text is at the end of this file. */
"""

WARNINGS = """
/* All that is not API is static, and each system uses its part of it. gcc sees through all functions here, and where a sentence may
 * be longer than the room for it: it is cut there, as it should be. And musl's CMSG_NXTHDR compares signed with unsigned. */
#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wunused-function"
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wformat-truncation"
#endif
#if SPORK__ON_LINUX && !defined(__GLIBC__)
#pragma GCC diagnostic ignored "-Wsign-compare"
#endif
#elif defined(_MSC_VER)
#pragma warning(disable : 4505)
#endif
"""


def licence(out):
    out.say("\n/*\n" + read("LICENSE").strip() + "\n*/")


def make_header():
    out, seen = Output("spork.h"), []
    out.say(HEAD.format(name="spork.h", version=version(), what="This is all of its headers as one."))
    public_header(out, "include/spork/spork.h", seen)
    for path in sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "include/spork").glob("*.h")):
        if path not in seen:
            refuse(f"{path} is not included by include/spork/spork.h")
    licence(out)
    return out, seen


def make_source(headers):
    public_names = {t.text for path in headers for t in tokenize(read(path)) if t.kind == "name"}
    portable, win32, posix = lists_of_cmake()
    chains = alternatives_of_cmake()
    check_config(chains)

    all_of_it = Amalgamation(public_names)
    out = all_of_it.out
    out.say(HEAD.format(name="spork.c", version=version(), what="This is the whole library, for every system."))
    out.banner(CONFIG)
    for number, line in enumerate(read(CONFIG).rstrip("\n").split("\n"), 1):
        out.take(line, CONFIG, number)
    out.say('\n#include "spork.h"\n' + WARNINGS)
    seen = set()
    all_of_it.put_all(portable, seen)
    out.say("\n#if defined(_WIN32)")
    all_of_it.put_all(win32, set(seen))
    out.say("\n#else")
    all_of_it.put_all(posix, seen)
    for chain in chains:
        all_of_it.put_chain(chain, seen)
    out.say("\n#endif")
    licence(out)
    check_all_are_in(all_of_it.sources)
    return out


def main():
    parser = argparse.ArgumentParser(description="Writes Spork as two files, spork.h and spork.c.")
    parser.add_argument("--lines", action="store_true", help="with #line directives, which name the places in src/")
    parser.add_argument("output", nargs="?", default=ROOT / "build/amalgamation", type=pathlib.Path, metavar="OUTPUT_DIR")
    options = parser.parse_args()
    header, headers = make_header()
    source = make_source(headers)
    options.output.mkdir(parents=True, exist_ok=True)
    for out in (header, source):
        out.write(options.output, options.lines)


if __name__ == "__main__":
    main()
