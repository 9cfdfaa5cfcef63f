internal import Glibc
internal import Handoff
internal import Logging
internal import Synchronization

/// What a server leaves to the one that it has started. It is given to whoever connects, which must be that server's process.
final class Bequest: Sendable {
    private let listener: Mutex<HandoffListener?>
    private let parcel: Mutex<Parcel?>

    private init(listener: consuming sending Mutex<HandoffListener?>, parcel: consuming sending Mutex<Parcel?>) {
        self.listener = listener
        self.parcel = parcel
    }

    /// Waits for the process on a thread of its own.
    static func give(
        _ parcel: consuming Parcel, through listener: consuming HandoffListener, to pid: pid_t, _ log: Logger
    ) {
        let path = listener.path
        let box = Mutex<HandoffListener?>(consume listener)
        let parcelBox = Mutex<Parcel?>(consume parcel)
        let bequest = Bequest(listener: box, parcel: parcelBox)
        startThread("baton-bequest") {
            defer { unlink(path + ".lock") }
            bequest.give(to: pid, log)
        }
    }

    private func give(to pid: pid_t, _ log: Logger) {
        do throws(HandoffError) {
            guard let listener = listener.withLock({ $0.take() }),
                let socket = try listener.accept(deadline: .after(.seconds(20))), socket.peer.processID == pid,
                let parcel = parcel.withLock({ $0.take() })
            else { return }
            var channel = OwnerChannel(socket)
            let outcome = channel.offer(ParcelBatch(parcel), deadline: .after(.seconds(10)))
            if outcome.settlement.handedOverCount == 0 {
                log.error(
                    "the new server did not take the sockets", metadata: ["reason": "\(outcome.settlement.ending)"])
            }
            try? channel.awaitConfirmation(deadline: .after(.seconds(10)))
        } catch {
            log.error("the sockets could not be handed over", metadata: ["reason": "\(error)"])
        }
    }
}
