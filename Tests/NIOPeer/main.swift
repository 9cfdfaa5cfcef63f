import BatonNIO
