import BatonNIO
import Foundation
import NIOCore
import TLSHandshake
import TLSRecords

/// The worker's part of a connection: the answer to STARTTLS, the handshake, and SMTP from the beginning (RFC 3207 section 4.2).
/// Messages are counted and thrown away.
final class MailHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The largest message, in bytes.
    private static let largest = 10 << 20

    private let tls: ServerContext
    private var lines = Lines()
    private var hasSender = false
    private var recipients = 0
    /// While a message comes: its bytes so far.
    private var messageSize: Int?
    private var isOver = false

    init(_ tls: ServerContext) { self.tls = tls }

    func channelActive(context: ChannelHandlerContext) {
        say("220 2.0.0 Ready to start TLS", context)
        do {
            // The answer leaves first, and what has come since belongs to the handshake.
            try context.pipeline.syncOperations.connectionHandler().startTLS(Handshake(server: tls))
        } catch {
            errorCaught(context: context, error: error)
        }
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ConnectionEvent.established(let info) = event {
            print("process \(getpid()) has made a handshake, \(info.suite.version)")
            // What was asked for before TLS has been had.
            context.read()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lines.append(unwrapInboundIn(data).readableBytesView)
        while !isOver, let line = lines.next() {
            if messageSize == nil { answer(Command(line), context) } else { take(line, context) }
        }
        if !isOver, lines.isTooLong { end("500 5.5.2 Line too long", context) }
    }

    private func answer(_ command: Command, _ context: ChannelHandlerContext) {
        switch command.verb {
        case "EHLO", "HELO": say("250 localhost, process \(getpid())", context)
        case "MAIL":
            hasSender = true
            recipients = 0
            say("250 2.1.0 Ok", context)
        case "RCPT" where hasSender:
            recipients += 1
            say("250 2.1.5 Ok", context)
        case "DATA" where recipients > 0:
            messageSize = 0
            say("354 End data with <CR><LF>.<CR><LF>", context)
        case "RCPT", "DATA": say("503 5.5.1 Not now", context)
        case "NOOP": say("250 2.0.0 Ok", context)
        case "RSET":
            hasSender = false
            recipients = 0
            say("250 2.0.0 Ok", context)
        case "QUIT": end("221 2.0.0 Bye", context)
        default: say("502 5.5.2 Command not known", context)
        }
    }

    /// A line of a message.
    private func take(_ line: String, _ context: ChannelHandlerContext) {
        let size = messageSize ?? 0
        if line == "." {
            print("process \(getpid()) has a message of \(size) bytes")
            messageSize = nil
            hasSender = false
            recipients = 0
            say("250 2.0.0 Ok", context)
        } else if size > Self.largest {
            end("552 5.3.4 Message too big", context)
        } else {
            messageSize = size + line.utf8.count + 2
        }
    }

    private func say(_ line: String, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: line + "\r\n")), promise: nil)
    }

    private func end(_ line: String, _ context: ChannelHandlerContext) {
        isOver = true
        say(line, context)
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        print("a connection has failed: \(error)")
        context.close(promise: nil)
    }
}
