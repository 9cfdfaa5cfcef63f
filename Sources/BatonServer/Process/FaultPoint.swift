internal import Glibc

/// Steps at which a test can have a process fail: BATON_FAULT=STEP:FAULT, in debug builds only.
enum FaultPoint {
    /// - Throws: `processFailed` if the test wants an error here.
    static func reach(_ step: String) throws(RuntimeError) {
        #if DEBUG
            guard let words = getenv("BATON_FAULT").map({ String(cString: $0).split(separator: ":") }),
                words.count == 2, words[0] == step
            else { return }
            switch words[1] {
            case "crash": kill(getpid(), SIGKILL)
            case "hang": kill(getpid(), SIGSTOP)
            case "stop": kill(getpid(), SIGTERM)
            default: throw RuntimeError(.processFailed, "a test wants this to fail (\(step))")
            }
        #endif
    }
}
