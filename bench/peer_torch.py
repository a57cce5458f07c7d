#!/usr/bin/env python3
"""The peer of bench/bench.c: the LOCUS encoder and predictor in plain PyTorch, written from shared/method.md only.

usage: peer_torch.py ITEM --net N.safetensors [--threads T] [...]     ITEM: pool, score, route, check, tune
Prints `key value` lines; times are the least and the median of --reps repetitions, in seconds.
--form plain: method.md as it stands, done well (heads are views, steps in place, batches of the fastest size): every
token and every feature vector [z, u, z*u] is built and multiplied. --form shared: with the algebra that locus.h uses
too, where PyTorch gains from it: the token map's two products shared by all models, mlp_head.0 split over z, u and z*u
(batch > 0) or folded into one matrix a model (batch < 0), whichever is faster.
"""
import argparse, concurrent.futures, json, os, subprocess, sys, time
import numpy as np
import torch
import torch.nn.functional as F

def load(path):
    raw = open(path, "rb").read()
    size = int.from_bytes(raw[:8], "little")
    head = json.loads(raw[8:8 + size])
    meta = head.pop("__metadata__")
    body = np.frombuffer(raw, np.uint8, offset=8 + size)
    part = lambda v: body[v["data_offsets"][0]:v["data_offsets"][1]].copy().view(np.float32).reshape(v["shape"])
    return {k: torch.from_numpy(part(v)) for k, v in head.items()}, {k: int(v) for k, v in meta.items() if v.isdigit()}

class Net:
    def __init__(self, path):
        self.w, meta = load(path)
        self.h, self.layers = meta["n_heads"], meta["n_layers"]

    def heads(self, x):  # [b, n, d] -> [b*h, n, d/h]; a view where b is 1
        b, n, d = x.shape
        return x.view(b, n, self.h, d // self.h).transpose(1, 2).reshape(b * self.h, n, d // self.h)

    def mab(self, p, q, x):  # q: [b, m, d] or a constant [1, m, d]; x: [b, n, d]
        w, (b, n, d) = self.w, x.shape
        m, scale = q.shape[1], (d // self.h) ** -0.5
        qp = F.linear(q, w[p + "W_q.weight"] * scale).expand(b, m, d)
        a = torch.bmm(self.heads(qp), self.heads(F.linear(x, w[p + "W_k.weight"])).transpose(1, 2))
        a = torch.bmm(torch.softmax(a, -1), self.heads(F.linear(x, w[p + "W_v.weight"])))
        a = a.view(b, self.h, m, d // self.h).transpose(1, 2).reshape(b, m, d)
        o = F.linear(a, w[p + "fc_o.weight"]).add_(q)
        o = F.layer_norm(o, (d,), w[p + "ln0.weight"], w[p + "ln0.bias"]).relu_()
        f = F.linear(o, w[p + "rff.net.0.weight"], w[p + "rff.net.0.bias"]).relu_()
        f = F.linear(f, w[p + "rff.net.2.weight"], w[p + "rff.net.2.bias"])
        return F.layer_norm(f.add_(o), (d,), w[p + "ln1.weight"], w[p + "ln1.bias"])

    def tokens(self, q):  # t = (base + bias) + y * (2 qneg + w_y), from x = [q, y, q (2y - 1)]
        weight, D = self.w["encoder.input.0.weight"], q.shape[1]
        neg = F.linear(q, weight[:, D + 1:])
        return F.linear(q, weight[:, :D], self.w["encoder.input.0.bias"]) - neg, 2 * neg + weight[:, D]

    def embed(self, shared, y):  # y: [b, n] -> z [b, d]; shared: tokens(q), or q itself for the plain form
        y = y.unsqueeze(-1)
        if torch.is_tensor(shared):
            q = shared.expand(y.shape[0], -1, -1)
            x = F.linear(torch.cat([q, y, q * (2 * y - 1)], -1), self.w["encoder.input.0.weight"],
                         self.w["encoder.input.0.bias"])
        else:
            x = torch.addcmul(shared[0], y, shared[1])
        for l in range(self.layers):
            p = "encoder.layers.%d." % l
            x = self.mab(p + "mab2.", x, self.mab(p + "mab1.", self.w[p + "I"], x))
        x = self.mab("encoder.pma.mab.", self.w["encoder.pma.S"], x)
        return F.linear(x[:, 0], self.w["encoder.out.0.weight"], self.w["encoder.out.0.bias"])

    def prepare(self, z):  # per-model terms of the predictor
        w, d = self.w, z.shape[1]
        self.head = w["decoder.mlp_head.0.weight"], w["decoder.mlp_head.0.bias"]
        self.z, (wz, self.wu, self.wx) = z, w["decoder.mlp_head.0.weight"].split(d, 1)
        self.zterm = F.linear(z, wz, w["decoder.mlp_head.0.bias"])
        self.fold = (self.wu + z.unsqueeze(1) * self.wx).reshape(-1, d)  # one matrix for each model, stacked
        last = "decoder.mlp_head.%d." % (3 if "decoder.mlp_head.3.weight" in w else 2)
        self.last, self.last_bias = w[last + "weight"][0].clone(), w[last + "bias"]

    def score(self, q, folded, plain=False):
        u = F.linear(q, self.w["decoder.U.weight"], self.w["decoder.U.bias"])
        if plain:
            b, (m, d) = u.shape[0], self.z.shape
            pair = u.unsqueeze(1).expand(b, m, d)
            f = F.linear(torch.cat([self.z.expand(b, m, d), pair, self.z * pair], -1), *self.head)
        elif folded:
            f = F.linear(u, self.fold, self.zterm.view(-1)).view(u.shape[0], *self.zterm.shape)
        else:
            f = F.linear(u.unsqueeze(1) * self.z, self.wx).add_(F.linear(u, self.wu).unsqueeze(1)).add_(self.zterm)
        return torch.matmul(f.relu_(), self.last).add_(self.last_bias)

def timed(run, reps, limit=0.0):
    run()
    times, start = [], time.perf_counter()
    while len(times) < reps or time.perf_counter() - start < limit:
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times), sorted(times)[len(times) // 2], len(times)

def parallel(run, parts, workers):  # whole parts on Python threads (torch lets go of the GIL), one BLAS thread each
    def inner(part):
        torch.set_num_threads(1)
        with torch.inference_mode():
            return run(part)
    return torch.cat(list(workers.map(inner, parts)) if workers else [run(part) for part in parts])

def fastest(run, choices):  # in-process choice of the batch size
    return min((timed(lambda: run(c), 2)[0], c) for c in choices)[1]

def tune(args):  # finds the BLAS, kernels and threading under which PyTorch is fastest here: arguments for `env`
    lib, T = "/usr/lib/x86_64-linux-gnu/", str(args.threads)
    pins = [k for k in os.environ if k.startswith(("OPENBLAS_", "BLIS_"))]  # a surrounding that pins kernels: undone
    clean = {k: v for k, v in os.environ.items() if k not in pins}
    blas = [{}] + [{"LD_LIBRARY_PATH": lib + "openblas-pthread", "OPENBLAS_CORETYPE": c} for c in
                   ("SkylakeX", "Cooperlake", "Haswell", "Zen")] + [
        {"LD_LIBRARY_PATH": lib + "blis-pthread", "BLIS_ARCH_TYPE": c} for c in ("skx", "haswell")]
    def attempt(base, **more):
        env = {**base, **more}
        command = [sys.executable, __file__, "pool"] + sys.argv[2:] + ["--models", "16", "--batch", "1", "--reps", "5"]
        got = subprocess.run(command, env={**clean, **env}, capture_output=True, text=True)
        seconds = float(got.stdout.split()[1]) if got.returncode == 0 else 1e30
        print("# %.3f s %s" % (seconds, env), file=sys.stderr)
        return seconds, " ".join(["-u " + k for k in pins if k not in env] + ["%s=%s" % kv for kv in env.items()]), env
    threads = lambda k: dict(OPENBLAS_NUM_THREADS=k, BLIS_NUM_THREADS=k, OMP_NUM_THREADS=k)
    tried = [attempt(b, **threads("1"), PEER_WORKERS=T, ATEN_CPU_CAPABILITY="avx512") for b in blas * 2]  # noise
    best = min(tried, key=lambda r: r[0])[2]
    tried.append(attempt(best, ATEN_CPU_CAPABILITY="avx2"))
    if args.threads > 1:
        tried.append(attempt(best, **threads(T), PEER_WORKERS="1"))
    print(min(tried, key=lambda r: r[0])[1])

def main():
    here = os.path.dirname(os.path.abspath(__file__))
    golden = [p for p in (here + "/../../shared/golden", here + "/../tests/golden") if os.path.isdir(p)]
    ap = argparse.ArgumentParser()
    ap.add_argument("item", choices=("pool", "score", "route", "check", "tune"))
    ap.add_argument("--form", choices=("plain", "shared"), default="shared")
    for name, default in (("net", None), ("q", None), ("y", None), ("z", None), ("out", None), ("threads", 1),
                          ("golden", golden[0] if golden else "."), ("reps", 3), ("models", 0), ("batch", 0)):
        ap.add_argument("--" + name, default=default, type=type(default) if default is not None else str)
    args = ap.parse_args()
    if args.item == "tune":
        return tune(args)
    many = int(os.environ.get("PEER_WORKERS", "1"))
    workers = concurrent.futures.ThreadPoolExecutor(many) if many > 1 else None
    torch.set_num_threads(1 if workers else args.threads)
    array = lambda path: torch.from_numpy(np.load(path).astype(np.float32))
    if args.item == "check":
        for case in ("tiny", "paper"):
            at = "%s/%s/" % (args.golden, case)
            if not os.path.isfile(at + "model.safetensors"):
                continue
            net, q, mask = Net(at + "model.safetensors"), array(at + "q_anchor.npy"), np.load(at + "mask.npy") != 0
            z = torch.cat([net.embed(net.tokens(q[m]), y[m].unsqueeze(0)) for y, m in zip(array(at + "y.npy"), mask)])
            net.prepare(z)
            zp = torch.cat([net.embed(q[m], y[m].unsqueeze(0)) for y, m in zip(array(at + "y.npy"), mask)])
            test = array(at + "q_test.npy")
            both = [(net.score(test, *form), "logits.npy") for form in ((False,), (True,), (False, True))] + [
                (zp, "z.npy")]
            bad = max(np.abs(a.numpy() - np.load(at + f)).max() for a, f in both + [(z, "z.npy")])
            print("check_%s %.2g %s" % (case, bad, "ok" if bad < 2e-5 else "WRONG"))
        return
    net, q = Net(args.net), array(args.q)
    if args.item == "pool":
        y = array(args.y)[:args.models or None]
        def job(batch, y=y):
            shared = net.tokens(q) if args.form == "shared" else q
            return parallel(lambda part: net.embed(shared, part), y.split(batch), workers)
        choice = args.batch or fastest(lambda batch: job(batch, y[:16]), (1, 2, 4, 8, 16))
    elif args.item == "score":
        net.prepare(array(args.z))
        plain = args.form == "plain"
        job = lambda form: parallel(lambda part: net.score(part, form < 0, plain), q.split(abs(form)), workers)
        choice = args.batch or fastest(job, [s * c for c in (8, 16, 32, 64, 128, 256, 512, 1024)
                                             for s in ((1,) if plain else (1, -1))])
    else:
        net.prepare(array(args.z))
        job, choice = lambda batch: torch.topk(net.score(q[:1], False, args.form == "plain"), 1).indices, 1
    if args.out:
        np.save(args.out, job(choice).numpy())
    least, median, count = timed(lambda: job(choice), *((200, 0.5) if args.item == "route" else (args.reps,)))
    print("min %.9f\nmedian %.9f\nreps %d\nbatch %d" % (least, median, count, choice))

with torch.inference_mode():
    main()
