import BatonNIO
import NIOCore

/// An operator at the Unix socket. `send DEVICE TEXT` is answered `QUEUED DEVICE ID`, and `DONE DEVICE ID RESULT` follows once, when
/// the device has done it. `status` lists the devices.
final class OperatorSession: ChannelInboundHandler {
    struct State: Codable {
        /// The commands whose end this operator waits for.
        fileprivate var waiting: [Ticket] = []
    }

    fileprivate struct Ticket: Codable, Equatable {
        let device: String
        let id: UInt64
    }

    typealias InboundIn = String
    typealias OutboundOut = ByteBuffer

    private static let maxWaiting = 1_000
    private static let longestText = 1_024

    private(set) var state: State
    private let desk: Desk
    private var context: ChannelHandlerContext?
    private var hasEnded = false

    init(_ state: State, _ desk: Desk) {
        self.state = state
        self.desk = desk
    }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        desk.enter(self)
        // What was done while this connection was on its way is in the store.
        tick()
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let words = unwrapInboundIn(data).split(separator: " ", maxSplits: 2).map(String.init)
        switch (words.first, words.count) {
        case ("send", 3): send(words[1], words[2])
        case ("status", 1): tellStatus()
        default: write("ERROR say: send DEVICE TEXT, or status")
        }
    }

    private func send(_ device: String, _ text: String) {
        guard Store.isName(device) else { return write("ERROR \(device) is no device's name") }
        guard text.utf8.count <= Self.longestText, text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            return write("ERROR a command is one line of at most \(Self.longestText) bytes")
        }
        guard state.waiting.count < Self.maxWaiting else {
            return write("ERROR too many commands wait; read their ends")
        }
        do {
            guard let id = try desk.store.update(device, { $0.add(text) }) else {
                return write("ERROR \(Mailbox.maxPending) commands wait for \(device) already")
            }
            state.waiting.append(Ticket(device: device, id: id))
            write("QUEUED \(device) \(id)")
            desk.wake(device)
        } catch {
            write("ERROR the store cannot be read or written")
        }
    }

    private func tellStatus() {
        let lines = desk.store.devices.map { device in
            let place = desk.isHere(device) ? "here" : "away"
            let count = try? desk.store.mailbox(device).pending.count
            return "DEVICE \(device) \(place), \(count.map { "\($0) waiting" } ?? "its mailbox cannot be read")"
        }
        write((lines + ["OK"]).joined(separator: "\n"))
    }

    /// A device has done something.
    func tell(_ device: String, _ result: Mailbox.Result) {
        guard let index = state.waiting.firstIndex(of: Ticket(device: device, id: result.id)) else { return }
        state.waiting.remove(at: index)
        write("DONE \(device) \(result.id)" + (result.text.isEmpty ? "" : " \(result.text)"))
        closeIfIdle()
    }

    /// Now and then: looks for ends that another process has noted.
    func tick() {
        for ticket in state.waiting {
            guard let mailbox = try? desk.store.mailbox(ticket.device) else { continue }
            if let result = mailbox.results.first(where: { $0.id == ticket.id }) {
                tell(ticket.device, result)
            } else if !mailbox.pending.contains(where: { $0.id == ticket.id }) {
                tell(ticket.device, .init(id: ticket.id, text: "its result is not kept any more"))
            }
        }
    }

    /// Who has said all it has to say stays for the ends of its commands.
    private func closeIfIdle() {
        if hasEnded, state.waiting.isEmpty { context?.close(promise: nil) }
    }

    private func write(_ line: String) {
        guard let context else { return }
        guard context.channel.isWritable else { return context.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: line + "\n")), promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ConnectionEvent.detached: leave()
        case ChannelEvent.inputClosed:
            hasEnded = true
            closeIfIdle()
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    private func leave() {
        context = nil
        desk.leave(self)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
