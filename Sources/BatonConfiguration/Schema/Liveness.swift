/// How TCP notices that a peer has gone. It stays with the socket when that moves.
package struct Liveness: Hashable, Sendable {
    /// TCP keepalive: the silence before the first probe; nil: no probes.
    package var keepaliveIdle: Duration? = .seconds(60)
    /// TCP keepalive: the time between probes.
    package var keepaliveInterval: Duration = .seconds(10)
    /// TCP keepalive: unanswered probes before the peer counts as dead; with a user timeout Linux goes by that alone (tcp(7)).
    package var keepaliveCount = 6
    /// TCP_USER_TIMEOUT: how long sent bytes may stay unacknowledged; nil: the kernel's rule.
    package var userTimeout: Duration? = .seconds(120)

    /// Creates the defaults.
    package init() {}
}

/// A section whose connections have a liveness.
protocol LivenessSection: SettingSection {
    var liveness: Liveness { get set }
}

extension LivenessSection {
    static var livenessSettings: [Setting<Self>] {
        [
            Setting(
                "keepalive-idle", \.liveness.keepaliveIdle, .optional(.duration(.seconds(1)...(.seconds(32_767)))),
                "TCP keepalive: the silence before the first probe."),
            Setting(
                "keepalive-interval", \.liveness.keepaliveInterval, .duration(.seconds(1)...(.seconds(32_767))),
                "TCP keepalive: the time between probes."),
            Setting(
                "keepalive-count", \.liveness.keepaliveCount, .count(1...127),
                "TCP keepalive: how many probes may stay unanswered. Counts only where `user-timeout` is off."),
            Setting(
                "user-timeout", \.liveness.userTimeout, .optional(.duration(.seconds(1)...(.seconds(86_400)))),
                "TCP_USER_TIMEOUT: how long sent bytes may stay unacknowledged. Off: the kernel's rule, about 15 minutes."
            ),
        ]
    }
}
