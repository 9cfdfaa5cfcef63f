internal import CLinuxSockets

/// The PID namespace of this process: that of its container.
package enum PIDNamespace {
    /// As the kernel numbers it; `nil` where there is no /proc.
    package static var current: UInt64? {
        var status = baton_file_status()
        return baton_file_at("/proc/self/ns/pid", 1, &status) == 0 ? UInt64(status.file) : nil
    }
}
