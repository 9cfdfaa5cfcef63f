import Handoff
import Libc

/// One of the processes that take turns at owning the demo's connection: takes it where it listens, runs it until the
/// next move is due, and hands it on.
struct DemoOwner: ~Copyable {
    /// Array elements must be copyable; the channel inside is not.
    private final class Source {
        var channel: ReceiverChannel

        init(_ channel: consuming ReceiverChannel) { self.channel = channel }
    }

    private let listener: HandoffListener
    private var next: OwnerChannel
    private var sources: [Source] = []

    /// Listens, and waits for the demo's word that all others do too.
    init(listen: String, next: String) throws {
        let listener = try HandoffListener(at: listen)
        DemoLine.ready.print()
        guard readLine() == "go" else { throw Failure("started without a demo; use `baton demo`") }
        let socket = try HandoffSocket.connect(to: next, deadline: .after(.seconds(10)))
        self.listener = listener
        self.next = OwnerChannel(socket)
    }

    /// Serves until the demo closes our standard input.
    mutating func run() throws {
        while try waitForWork() {
            if let socket = try listener.acceptWaiting() { sources.append(Source(ReceiverChannel(socket))) }
            for source in sources {
                switch try source.channel.step({ _ in .accept }) {
                case .received(let received):
                    var parcels = received.parcels
                    while let parcel = parcels.removeLast() { try serve(parcel) }
                case .ended: sources.removeAll { $0 === source }
                case .discarded: break
                case nil: break
                }
            }
        }
    }

    private mutating func serve(_ parcel: consuming Parcel) throws {
        var relay = try Relay(parcel)
        let ending = try relay.run { relay in
            DemoLine.owns(
                move: relay.state.moves, pause: relay.pause ?? 0, bytesUp: relay.state.bytesUp,
                bytesDown: relay.state.bytesDown
            ).print()
        }
        switch ending {
        case .moveDue: try handOn(relay.suspend())
        case .finished:
            DemoLine.finished(bytesUp: relay.state.bytesUp, bytesDown: relay.state.bytesDown).print()
        }
    }

    private mutating func handOn(_ parcel: consuming Parcel) throws {
        let outcome = next.offer(ParcelBatch(parcel), deadline: .after(.seconds(10)))
        guard outcome.settlement.handedOverCount == 1 else {
            throw Failure("the next owner did not take the connection: \(outcome.settlement.ending)")
        }
    }

    /// Waits for a new channel or a message; `false` when the demo has ended.
    private borrowing func waitForWork() throws -> Bool {
        var polled = [
            pollfd(fd: 0, events: Int16(POLLIN), revents: 0),
            pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        for source in sources {
            polled.append(pollfd(fd: source.channel.descriptor, events: source.channel.interest, revents: 0))
        }
        while poll(&polled, nfds_t(polled.count), -1) < 0 {
            guard errno == EINTR else { throw Failure("poll: \(String(cString: strerror(errno)))") }
        }
        return polled[0].revents == 0
    }
}
