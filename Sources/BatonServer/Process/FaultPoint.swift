internal import Libc

/// Steps at which a test can have a process fail: BATON_FAULT=STEP:FAULT, or STEP:FAULT:FILE for while there is such a file,
/// in debug builds only.
enum FaultPoint {
    /// - Throws: `processFailed` if the test wants an error here.
    static func reach(_ step: String) throws(RuntimeError) {
        #if DEBUG
            guard let words, words.count == 2 || words.count == 3 && access(words[2], F_OK) == 0, words[0] == step
            else {
                return
            }
            switch words[1] {
            case "crash": kill(getpid(), SIGKILL)
            case "hang": kill(getpid(), SIGSTOP)
            case "stop": kill(getpid(), SIGTERM)
            case "child": raise(SIGCHLD)
            default: throw RuntimeError(.processFailed, "a test wants this to fail (\(step))")
            }
        #endif
    }

    #if DEBUG
        /// What BATON_FAULT says, in its parts.
        static var words: [String]? {
            getenv("BATON_FAULT").map { String(cString: $0).split(separator: ":").map(String.init) }
        }
    #endif
}
