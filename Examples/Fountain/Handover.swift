import Foundation
import Glibc
import Handoff

/// The socket and the sessions on their way from a process to its successor: one parcel, whose offer the successor accepts or not.
/// What peers send meanwhile waits in the socket, which is the same in both.
enum Handover {
    struct State: Codable {
        let sessions: [SessionKey: Session]
        let cookies: Cookies
        fileprivate let fingerprint: UInt64
    }

    /// The reason of a successor that has another file.
    private static let otherFile = DeclineReason.application(1)

    /// Takes over from the process that listens at `path`.
    ///
    /// - Returns: `nil` if there is none.
    static func take(at path: String, of file: SourceFile) throws -> (DatagramSocket, State)? {
        let socket: HandoffSocket
        do throws(HandoffError) {
            socket = try .connect(to: path, deadline: .after(.seconds(5)))
        } catch {
            if error.code == .nobodyListening { return nil }
            throw error
        }
        var channel = ReceiverChannel(socket)
        guard
            var received = try channel.receive(
                deadline: .after(.seconds(10)),
                decide: { state($0)?.fingerprint == file.fingerprint ? .accept : .decline(otherFile) }),
            var parcel = received.parcels.removeLast(), let state = state(parcel),
            let descriptor = parcel.sockets.takeAll().first
        else { throw NothingTaken(path: path) }
        return (DatagramSocket(adopting: descriptor), state)
    }

    /// Gives them to a successor.
    ///
    /// - Returns: whether they are the successor's. If not, this process goes on with them.
    /// - Throws: `InDoubt`.
    static func give(_ sender: Sender, of file: SourceFile, to listener: borrowing HandoffListener) throws -> Bool {
        let state = State(sessions: sender.sessions, cookies: sender.cookies, fingerprint: file.fingerprint)
        do {
            guard let successor = try listener.acceptWaiting() else { return false }
            return try give(sender.socket, Array(JSONEncoder().encode(state)), to: successor)
        } catch let doubt as InDoubt {
            throw doubt
        } catch {
            print("process \(getpid()) goes on: \(error)")
            return false
        }
    }

    private static func give(
        _ socket: DatagramSocket, _ state: [UInt8], to successor: consuming HandoffSocket
    ) throws -> Bool {
        // This process keeps its own descriptor in case the successor does not take it.
        let copy = fcntl(socket.descriptor, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw DatagramSocket.Failure(number: errno) }
        var channel = OwnerChannel(successor)
        let parcel = Parcel(sockets: DescriptorSet(owning: copy), applicationState: state)
        let outcome = channel.offer(ParcelBatch(parcel), deadline: .after(.seconds(5)))
        switch outcome.settlement.fates.first {
        case .handedOver:
            close(socket.descriptor)
            return true
        case .closed: throw InDoubt()
        default:
            print(
                "process \(getpid()) goes on: the successor has not taken the sessions (\(outcome.settlement.ending))")
            return false
        }
    }

    /// Listens for a successor. The path is the process's before this one until that has ended.
    static func listen(at path: String) throws -> HandoffListener {
        for _ in 0..<500 {
            do throws(HandoffError) {
                return try HandoffListener(at: path)
            } catch {
                guard error.code == .pathInUse else { throw error }
                usleep(20_000)
            }
        }
        return try HandoffListener(at: path)
    }

    private static func state(_ parcel: borrowing Parcel) -> State? {
        guard parcel.sockets.count == 1 else { return nil }
        return try? JSONDecoder().decode(State.self, from: Data(parcel.applicationState))
    }
}

/// The successor could not be told to let go of the sessions, and may go on with them. So this process must not.
struct InDoubt: Error, CustomStringConvertible {
    var description: String { "process \(getpid()) ends: the successor does not answer, and may have the sessions" }
}

/// The process that was to be replaced goes on.
struct NothingTaken: Error, CustomStringConvertible {
    let path: String

    var description: String { "the process at \(path) sends another file, or does not answer; end it first" }
}
