import CLinuxSockets
import Libc

/// What every process that holds traffic secrets does first.
enum ProcessHardening {
    /// No core dumps, and no other process of the same user may attach or read the memory (PR_SET_DUMPABLE). A crash is one
    /// line and tells nothing of memory or registers, whatever the environment asks of the Swift runtime. Writing to a
    /// closed pipe is an error to be handled and not a signal that kills.
    ///
    /// A process of a server dies of no signal that it does not use, from here on.
    static func apply() {
        baton_fill_standard_descriptors()
        _ = baton_make_undumpable()
        baton_die_quietly(role)
        signal(SIGPIPE, SIG_IGN)
        guard role.hasPrefix("serve") else { return }
        _ = baton_signals_catch()
        // One that is executed by a descriptor would be called by its number.
        if let name = CommandLine.arguments.first?.split(separator: "/").last { baton_name_process(String(name)) }
    }

    /// Which of its processes this is, in the log of a server: the name of the command.
    private static var role: String {
        guard let word = CommandLine.arguments.dropFirst().first,
            word.utf8.allSatisfy({ $0 == 0x2D || $0 > 0x60 && $0 < 0x7B })
        else { return "process" }
        return word
    }
}
