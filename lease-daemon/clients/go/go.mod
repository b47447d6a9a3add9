module lease.example/lease

go 1.19
