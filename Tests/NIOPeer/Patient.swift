import ServiceLifecycle

/// A service that runs until its group is shut down gracefully, and fails if it is cancelled.
struct Patient: Service {
    func run() async throws {
        try await gracefulShutdown()
    }
}
