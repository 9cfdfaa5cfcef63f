import BatonNIO
import NIOCore

/// The parent's part of a connection: SMTP in the clear (RFC 3207), up to STARTTLS.
final class GreetingHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let parent: Parent
    private let arrival: Arrival
    private var lines = Lines()
    private var isOver = false

    init(_ parent: Parent, _ arrival: Arrival) {
        self.parent = parent
        self.arrival = arrival
    }

    func channelActive(context: ChannelHandlerContext) {
        if case .returned = arrival {
            say("454 4.7.0 TLS not available at the moment", to: context)
        } else {
            say("220 localhost ESMTP", to: context)
        }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lines.append(unwrapInboundIn(data).readableBytesView)
        while !isOver, let line = lines.next() { answer(Command(line), context) }
        if !isOver, lines.isTooLong { end("500 5.5.2 Line too long", context) }
    }

    private func answer(_ command: Command, _ context: ChannelHandlerContext) {
        switch command.verb {
        case "EHLO": say("250-localhost", "250 STARTTLS", to: context)
        case "HELO": say("250 localhost", to: context)
        case "NOOP", "RSET": say("250 2.0.0 Ok", to: context)
        case "QUIT": end("221 2.0.0 Bye", context)
        case "STARTTLS": handOver(context)
        default: say("530 5.7.0 Must issue a STARTTLS command first", to: context)
        }
    }

    /// The worker says whether TLS can begin. Nothing of what was said in the clear goes with the connection (RFC 3207 section 4.2).
    private func handOver(_ context: ChannelHandlerContext) {
        // Commands behind this one would be read as if they had come over TLS (CVE-2011-0411).
        guard lines.isEmpty else { return end("501 5.5.2 Nothing may follow STARTTLS", context) }
        isOver = true
        do {
            let parcel = try context.pipeline.syncOperations.connectionHandler().detach(applicationState: [])
            let connection = DetachedConnection(parcel)
            let (parent, eventLoop) = (parent, context.eventLoop)
            Task { await parent.handOver(connection, from: eventLoop) }
        } catch {
            errorCaught(context: context, error: error)
        }
    }

    private func say(_ lines: String..., to context: ChannelHandlerContext) {
        for line in lines { context.write(wrapOutboundOut(ByteBuffer(string: line + "\r\n")), promise: nil) }
        context.flush()
    }

    private func end(_ line: String, _ context: ChannelHandlerContext) {
        isOver = true
        say(line, to: context)
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
