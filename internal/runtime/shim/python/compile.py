"""The part of the Python shim that compiles a package; run in serve.py's namespace.

Nothing of the package is run. The bytecode is of the kind that Python takes
without looking at the source: both are read-only and change together or not
at all.
"""

FILE, COMPILED = 0x8A, 0x8B
MAX_SOURCE = 4 << 20
MAX_FILE = 6 << 20


def compile_package(request):
    import marshal
    import warnings
    from importlib.util import MAGIC_NUMBER, source_hash

    warnings.simplefilter("ignore")
    sys.setrecursionlimit(5000)
    base, left = request["code_dir"], request["max_bytes"]
    for directory, inner, files in os.walk(base):
        inner[:] = sorted(d for d in inner if d not in ("__pycache__", "node_modules"))
        for name in sorted(files):
            path = os.path.join(directory, name)
            if not name.endswith(".py") or os.path.islink(path):
                continue
            try:
                with open(path, "rb") as f:
                    source = f.read(MAX_SOURCE + 1)
                if len(source) > MAX_SOURCE:
                    continue
                code = compile(source, path, "exec", dont_inherit=True)
                # Flags: checked against nothing, though it has the source's hash.
                data = MAGIC_NUMBER + b"\x01\0\0\0" + source_hash(source) + marshal.dumps(code)
                relative = os.path.relpath(os.path.join(directory, "__pycache__"), base)
                shown = "%s/%s.%s.pyc" % (relative, name[:-3], sys.implementation.cache_tag)
                shown = shown.encode()
            except Exception:
                continue  # Whoever imports it will be told what is wrong.
            left -= len(data)
            if left < 0:
                break
            if len(data) <= MAX_FILE:
                Shim.wire.frame(FILE, NO_ID, len(shown).to_bytes(4, "big") + shown, data)
    Shim.wire.frame(COMPILED, NO_ID)
