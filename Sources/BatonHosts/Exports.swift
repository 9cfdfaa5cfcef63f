// What is moved is declared where it is moved; whoever imports this module finds it by the names it has here.
@_exported public import BatonNIO
@_exported public import HostMigration
