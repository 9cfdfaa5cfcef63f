internal import Handoff
internal import Libc
internal import Logging
internal import Synchronization

/// What a server leaves to the one that it has started. It is given to whoever connects, which must be that server's
/// process where it is known, and of this user in any case.
final class Bequest: Sendable {
    private let listener: Mutex<HandoffListener?>
    private let parcel: ParcelBox

    private init(listener: consuming sending Mutex<HandoffListener?>, parcel: ParcelBox) {
        self.listener = listener
        self.parcel = parcel
    }

    /// Waits for the process on a thread of its own.
    ///
    /// - Parameter pid: `nil`: it has no number here.
    static func give(
        _ parcel: consuming Parcel, through listener: consuming HandoffListener, to pid: pid_t?, _ log: Logger
    ) {
        let path = listener.path
        let box = Mutex<HandoffListener?>(consume listener)
        let bequest = Bequest(listener: box, parcel: ParcelBox(parcel))
        startThread("baton-bequest") {
            defer { unlink(path + ".lock") }
            bequest.give(to: pid, log)
        }
    }

    private func give(to pid: pid_t?, _ log: Logger) {
        do throws(HandoffError) {
            guard let listener = listener.withLock({ $0.take() }),
                let socket = try listener.accept(deadline: .after(.seconds(20))),
                pid == nil || socket.peer.processID == pid,
                let parcel = parcel.take()
            else { return }
            let sender = ParcelSender(socket, timeLimit: .seconds(10))
            sender.offer(parcel) { fate in
                let reason: String
                switch fate {
                case .handedOver: return
                case .returned(_, let why): reason = why.map { "\($0)" } ?? "it did not answer"
                case .closed: reason = "nobody could tell whether it has them"
                }
                log.error("the new server did not take the sockets", metadata: ["reason": "\(reason)"])
            }
            sender.close()
        } catch {
            log.error("the sockets could not be handed over", metadata: ["reason": "\(error)"])
        }
    }
}
