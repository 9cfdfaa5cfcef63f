import Libc
import Synchronization

/// SIGINT, SIGTERM and SIGHUP as something to look at between two steps, so that a command ends in order: nothing it
/// started goes on, and nothing it made stays.
enum Interruption {
    private static let caught = Atomic<Int32>(0)

    /// The signal that asked for the end, if one has.
    static var signal: Int32? {
        let number = caught.load(ordering: .relaxed)
        return number == 0 ? nil : number
    }

    /// From here on these signals interrupt calls that wait, and do not end the process.
    static func install() {
        var set = sigset_t()
        sigemptyset(&set)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            var action = sigaction()
            sigaction(number, nil, &action)
            // nohup(1), and a shell's background jobs: whoever ignores a signal for us means it.
            if unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1 { continue }
            action = sigaction()
            action.__sigaction_handler.sa_handler = { Interruption.caught.store($0, ordering: .relaxed) }
            sigaction(number, &action, nil)
            sigaddset(&set, number)
        }
        // A parent may have blocked them, and what we start would inherit that.
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }
}
