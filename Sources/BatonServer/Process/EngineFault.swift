#if DEBUG
    internal import Foundation
    internal import Libc
    internal import SessionEngine
    internal import Synchronization

    /// Faults in a worker's engine that a test wants, in debug builds only.
    ///
    /// - BATON_FAULT=steps:FILE: the worker dies after so many steps of its engine as the file says, and leaves the next one
    ///   a step more. Without the file it lives.
    /// - BATON_FAULT=poison:WORD: it traps at what begins with the word.
    enum EngineFault {
        /// Death waits for it: a worker that has not been ready is started again only after a while.
        private static let isReady = Atomic(false)

        /// Reads what is wanted, before there is an engine.
        static func arm() {
            guard let words = FaultPoint.words, words.count == 2 else { return }
            switch words[0] {
            case "poison": Step.poison = Array(words[1].utf8)
            case "steps":
                let file = URL(filePath: words[1])
                guard let count = (try? String(contentsOf: file, encoding: .utf8)).flatMap({ Int($0) }) else { return }
                try? Data("\(count + 1)".utf8).write(to: file, options: .atomic)
                Step.last = {
                    while !isReady.load(ordering: .acquiring) { usleep(1_000) }
                    kill(getpid(), SIGKILL)
                }
                Step.left = count
            default: break
            }
        }

        /// The worker has told its front that it is ready.
        static func ready() { isReady.store(true, ordering: .releasing) }
    }
#endif
