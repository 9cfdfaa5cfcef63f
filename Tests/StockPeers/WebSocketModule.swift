/// The beginning of a Python program that uses the package `websockets`.
package enum WebSocketModule {
    /// Imports it, by executing the program anew with the distribution's Python where the first in PATH does not have it.
    package static let importing = """
        import os, sys
        try:
            import websockets
        except ImportError:
            if sys.executable.startswith('/usr/bin/'): raise
            os.execv('/usr/bin/python3', ['/usr/bin/python3'] + sys.orig_argv[1:])

        """
}
