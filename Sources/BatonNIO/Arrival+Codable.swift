internal import Foundation

extension Arrival {
    /// The application's state that came with the connection.
    ///
    /// - Returns: `nil` for a connection that is new.
    /// - Throws: `badApplicationState` if it is not what `State` is encoded as.
    public func state<State: Decodable>(_ type: State.Type = State.self) throws(ConnectionError) -> State? {
        guard !applicationState.isEmpty else { return nil }
        do {
            return try JSONDecoder().decode(State.self, from: Data(applicationState))
        } catch {
            throw ConnectionError(.badApplicationState)
        }
    }
}

extension ConnectionHandler {
    /// Sets what gives the application's state when the connection moves. It is encoded as JSON and not zeroed, so it
    /// should hold no secret. It is called on the event loop.
    public func provideState<State: Encodable>(_ provider: @escaping () -> State) {
        provideState { () throws -> [UInt8] in
            do {
                return Array(try JSONEncoder().encode(provider()))
            } catch {
                throw ConnectionError(.badApplicationState)
            }
        }
    }
}
