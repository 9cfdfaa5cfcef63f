import BatonNIO
import NIOCore
import TLSRecords

/// A device's connection. Lines from the device:
///
///     HELLO LAST            it stays, and has done all commands up to the id LAST (0: none)
///     PULL LAST PORT        it takes what there is and goes, and hears triggers at this UDP port (0: none)
///     DONE ID RESULT        it has done that one
///
/// Lines to it: `DO ID TEXT`, one at a time and in order, again until it is DONE; `END` when a pull has everything. A device
/// that gets an id which is not greater than its last one answers DONE and does nothing.
final class DeviceSession: ChannelInboundHandler {
    struct State: Codable {
        fileprivate(set) var device: String?
        fileprivate var isPull = false
        /// The command the device was sent last.
        fileprivate var sent: UInt64?
    }

    typealias InboundIn = String
    typealias OutboundOut = ByteBuffer

    /// After which a command is sent again.
    private static let patience = TimeAmount.seconds(2)
    private static let longestResult = 1_024

    private(set) var state: State
    private let desk: Desk
    private var context: ChannelHandlerContext?
    private var sentAt = NIODeadline.now()

    init(_ state: State, _ desk: Desk) {
        self.state = state
        self.desk = desk
    }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        // It has moved here, with what it was sent.
        if let device = state.device {
            // One that has come here before it is the newer.
            if desk.isHere(device) {
                replace()
            } else {
                desk.enter(self, as: device)
                deliver()
            }
        }
        context.fireChannelActive()
    }

    // MARK: Lines

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Lines behind the one that has ended the session may have come with it.
        guard self.context != nil else { return }
        let words = unwrapInboundIn(data).split(separator: " ", maxSplits: 2).map(String.init)
        switch (words.first, words.dropFirst().first.flatMap { UInt64($0) }, state.device) {
        case ("HELLO", let last?, nil) where words.count == 2: greet(context, last, triggerPort: nil)
        case ("PULL", let last?, nil) where words.count == 3 && UInt16(words[2]) != nil:
            greet(context, last, triggerPort: UInt16(words[2]))
        case ("DONE", let id?, let device?): done(device, id, words.count == 3 ? Self.printable(words[2]) : "")
        default: refuse("say HELLO LAST or PULL LAST PORT first, and then DONE ID RESULT")
        }
    }

    private func greet(_ context: ChannelHandlerContext, _ last: UInt64, triggerPort: UInt16?) {
        guard let device = identity(context) else { return refuse("the certificate's subject must be CN=NAME alone") }
        guard last <= Mailbox.greatestLast else { return refuse("no command has an id as great as that") }
        guard desk.mayCome(device) else { return refuse("too often; come again in a few seconds") }
        do {
            let done = try desk.store.update(device) { mailbox in
                if let triggerPort {
                    let host = context.remoteAddress?.ipAddress
                    mailbox.triggerAddress =
                        triggerPort == 0 ? nil : host.map { .init(host: $0, port: Int(triggerPort)) }
                }
                return mailbox.acknowledge(through: last)
            }
            state.device = device
            state.isPull = triggerPort != nil
            desk.acknowledged(device, done)
            desk.enter(self, as: device)
            deliver()
        } catch {
            refuse("the store cannot be read or written")
        }
    }

    /// Who the certificate says it is. It was verified in the handshake, and is part of what moves.
    private func identity(_ context: ChannelHandlerContext) -> String? {
        let info = try? context.pipeline.syncOperations.connectionHandler().info
        guard let subject = info?.peerCertificate?.subject, subject.hasPrefix("CN=") else { return nil }
        let name = String(subject.dropFirst(3))
        return Store.isName(name) ? name : nil
    }

    /// What an operator's terminal may be shown: no control characters, nor those that change the direction of text.
    private static func printable(_ text: String) -> String {
        let scalars = text.unicodeScalars.prefix(longestResult).map { scalar -> Unicode.Scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: "?"
            default: scalar
            }
        }
        return String(String.UnicodeScalarView(scalars))
    }

    private func done(_ device: String, _ id: UInt64, _ result: String) {
        do {
            let isFirst = try desk.store.update(device) { $0.acknowledge(id, result) }
            if isFirst { desk.acknowledged(device, [.init(id: id, text: result)]) }
            deliver()
        } catch {
            refuse("the store cannot be read or written")
        }
    }

    // MARK: Commands

    /// The commands that wait for a device that is here.
    private var pending: [Mailbox.Command]? {
        guard let device = state.device, context != nil else { return nil }
        do { return try desk.store.mailbox(device).pending } catch {
            refuse("the store cannot be read or written")
            return nil
        }
    }

    /// Sends the first command that is not done, if it has not been sent on this connection.
    private func deliver() {
        guard let pending else { return }
        guard let command = pending.first else {
            if state.isPull { end("END") }
            return
        }
        guard state.sent != command.id else { return }
        send(command)
    }

    private func send(_ command: Mailbox.Command) {
        // A device that does not read is not written to: what it has is enough.
        guard let context, context.channel.isWritable else { return }
        state.sent = command.id
        sentAt = .now()
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "DO \(command.id) \(command.text)\n")), promise: nil)
    }

    /// Now and then: sends again what has not been answered.
    func tick() {
        deliver()
        guard let command = pending?.first else { return }
        if .now() - sentAt > Self.patience { send(command) }
    }

    // MARK: The end

    /// The device has another connection now.
    func replace() { end("ERROR this device has another connection now") }

    private func refuse(_ why: String) { end("ERROR \(why)") }

    private func end(_ line: String) {
        guard let context else { return }
        leave()
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: line + "\n")), promise: nil)
        context.close(promise: nil)
    }

    private func leave() {
        guard context != nil else { return }
        context = nil
        if let device = state.device { desk.leave(self, device) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ConnectionEvent.detached: leave()
        case ChannelEvent.inputClosed: context.close(promise: nil)
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
