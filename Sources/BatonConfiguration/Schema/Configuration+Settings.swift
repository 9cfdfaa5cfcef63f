internal import BatonCore

extension Configuration: SettingSection {
    static let settings: [Setting<Configuration>] =
        [
            Setting(
                "workers", \.workers, .optional(.count(1...1024), none: "auto"),
                "The number of worker processes. `auto` starts one for each processor."),
            Setting(
                "move-every", \.moveEvery, .count(0...1_000_000_000),
                "Each connection moves to another worker after this many application-data records that it received. 0: never."
            ),
            Setting("control", \.control, .socketPath, "The Unix socket of `baton status`, `upgrade` and `drain`."),
            Setting(
                "admin", \.admin, .optional(.address),
                "Where `/healthz`, Prometheus `/metrics` and the page are served."),
            Setting(
                "admin-hosts", \.adminHosts, .list(of: .hostName, "host names"),
                "Host names by which the admin address may be asked for, beside IP addresses and `localhost`."),
            Setting(
                "backlog", \.backlog, .count(1...1 << 20),
                "How many connections may wait to be accepted, at each listening socket. The kernel cuts it at `net.core.somaxconn`."
            ),
            Setting(
                "resolver", \.resolver, .optional(.resolver, none: "system"),
                "The DNS server that the names of upstreams are asked of. `system`: the hosts file and the servers of "
                    + "`resolv.conf`, whose search list counts as well."),
            Setting(
                "user", \.user, .optional(.text("a user name or number", isAccount), none: "none"),
                "The user to become once the sockets are bound."),
            Setting(
                "group", \.group, .optional(.text("a group name or number", isAccount), none: "none"),
                "The group to become once the sockets are bound. `none`: the user's own."),
            Setting(
                "shutdown-delay", \.shutdownDelay, .duration(.zero...(.seconds(86_400))),
                "How long connections are still accepted after SIGTERM, while `/healthz` says 503: the time that load balancers take to notice."
            ),
            Setting(
                "shutdown-time", \.shutdownTime, .optional(.duration(.zero...(.seconds(30 * 86_400)))),
                "The longest time that a stop waits for connections to end, behind `shutdown-delay`; then they are closed, those to an upstream with a reset. `off`: as long as they last."
            ),
            Setting(
                "confinement", \.confinement, .choice,
                "Whether the processes that speak with peers give up what they have no use for: capabilities, programs, writing files, system calls. `auto`: as far as the kernel can. `require`: a process that cannot does not start."
            ),
            Setting(
                "reload-on-change", \.reloadsOnChange, .flag,
                "Whether certificates, keys, authorities and ticket keys are read again by themselves when their files change. "
                    + "The configuration file is not."),
            Setting(
                "ocsp-directory", \.ocspDirectory, .path,
                "The folder in which OCSP responses are kept that the server has fetched (`ocsp: fetch`). It is made if the one above it "
                    + "is there."),
            Setting("log-level", \.logLevel, .choice, "The least severe messages that are logged."),
            Setting(
                "access-log", \.accessLog, .optional(.accessLogTarget),
                "Where each connection has a line at its end: a file, `stdout`, or the system's log by `/dev/log` or another socket."
            ),
            Setting("access-log-format", \.accessLogFormat, .choice, "How a line of the access log is written."),
            Setting(
                "limits.connections", \.limits.connections, .count(1...10_000_000), "The most connections in all."),
            Setting(
                "limits.connections-per-source", \.limits.connectionsPerSource, .optional(.count(1...10_000_000)),
                "The most connections from one IPv4 address or one IPv6 /64."),
            Setting(
                "limits.connection-rate", \.limits.connectionRate, .optional(.count(1...10_000_000)),
                "The most new connections a second, and at once. Beyond it they wait in the sockets' queues, which `backlog` bounds."
            ),
            Setting(
                "limits.connection-rate-per-source", \.limits.connectionRatePerSource,
                .optional(.count(1...10_000_000)),
                "The most new connections a second, and at once, from one IPv4 address or one IPv6 /64. Beyond it they are reset."
            ),
            Setting(
                "limits.handshake-rate", \.limits.handshakeRate, .optional(.count(1...10_000_000)),
                "The most TLS handshakes that begin a second, and at once. Beyond it they wait their turn, which is part of "
                    + "`handshake-time`; whose turn would come later than that is closed at once."),
            Setting(
                "limits.handshakes", \.limits.handshakes, .count(1...10_000_000),
                "The most connections in their handshake, with all that comes before it. Beyond it new ones are closed."
            ),
            Setting(
                "limits.handshake-time", \.limits.handshakeTime, .duration(.milliseconds(100)...(.seconds(300))),
                "From the accepted connection to the end of its handshake, with all that comes before it."),
            Setting(
                "limits.header-time", \.limits.headerTime, .duration(.milliseconds(100)...(.seconds(300))),
                "From the first byte of a request to the end of its first line, where a route needs it. A connection that has "
                    + "said nothing may wait for `idle-time`."),
            Setting(
                "limits.header-size", \.limits.headerSize, .size(512...1 << 20),
                "The most bytes of a request line that a route needs, of a request to the built-in page, or of a PROXY "
                    + "protocol header."),
            Setting(
                "limits.buffer-size", \.limits.bufferSize, .size(16 << 10...1 << 30),
                "The most bytes that wait for a slow reader, in each direction of a connection."),
            Setting(
                "limits.relay-memory", \.limits.relayMemory, .optional(.size(1 << 20...1 << 40), none: "auto"),
                "The most memory that each worker uses for the bytes that wait in its relays. Where it is used up, relays wait "
                    + "for each other, and new ones are refused. `auto`: 1G, or half of what the machine or the cgroup has if "
                    + "that is less. Workers that are started later keep to a new value."),
            Setting(
                "limits.relays-per-worker", \.limits.relaysPerWorker, .count(1...1 << 20),
                "The most relays of a worker. Workers that are started later keep to a new value."),
            Setting(
                "limits.worker-silence", \.limits.workerSilence, .optional(.duration(.seconds(1)...(.seconds(3_600)))),
                "A worker that has not answered for so long (stopped, spinning) is killed, and another takes its place. "
                    + "`off`: another is started beside it after ten seconds, and it keeps its connections."),
            Setting(
                "session-tickets.rotate-every", \.sessionTickets.rotateEvery,
                .optional(.duration(.seconds(1)...(.seconds(7 * 86_400)))),
                "The age at which a new ticket key takes over. `off`: no session tickets."),
            Setting(
                "session-tickets.former-keys", \.sessionTickets.formerKeys, .count(0...16),
                "How many former ticket keys still open tickets."),
            Setting(
                "session-tickets.key-file", \.sessionTickets.keyFile, .optional(.path),
                "File of ticket keys that several hosts share, one of 80 bytes in base64 on each line. The last but one seals new "
                    + "tickets, all open them. Who sets it rotates the keys: `rotate-every` and `former-keys` are of no use then."
            ),
        ] + Migration.settings

    @Sendable private static func isAccount(_ text: String) -> Bool {
        1...32 ~= text.utf8.count && text.utf8.first != UInt8(ascii: "-")
            && text.utf8.allSatisfy { $0.isLetterOrDigit || "._-".utf8.contains($0) }
    }
}

extension SettingFormat where Value == Endpoint {
    /// A DNS server.
    static var resolver: SettingFormat {
        .word(
            "IPV4:PORT",
            read: { word in
                guard case .tcp(.ip(let ip), let port)? = try? Address(word), case .v4 = ip, port > 0 else {
                    return nil
                }
                return Endpoint(ip, port: port)
            }, write: { "\($0)" })
    }
}
