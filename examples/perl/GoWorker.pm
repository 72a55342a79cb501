# GoWorker::process ($program, @arguments)->AnyEvent::Fork::RPC::run ("", async => 1, …)
package GoWorker;
use AnyEvent::Fork;
sub process {
   AnyEvent::Fork->new->eval (<<'IN_THE_CHILD', @_);
      my @program = @_;
      for my $backend (map "AnyEvent::Fork::RPC::$_", "Sync", "Async") {
         ($INC{$backend =~ s(::)(/)gr . ".pm"}, ${"$backend\::VERSION"}) = ($program[0], 9); # instead of the module
         *{"$backend\::run"} = sub {
            open STDIN, "<&", $_[0] and open STDOUT, ">&", $_[0] and exec { $program[0] } @program;
            die "$program[0]: $!\n";
         };
      }
IN_THE_CHILD
}
1;
