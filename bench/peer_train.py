#!/usr/bin/env python3
"""The peer of bench/bench_train.c: one training step in plain PyTorch, written from shared/method.md only.

usage: peer_train.py step|loss|check|tune --net N.safetensors --q Q.npy --y Y.npy [--threads T] [--form F] [--batch B]
A step: forward, backward, clipping, AdamW, over all models, in batches whose gradients add up. Forms:
  release  noise for each (model, query); every token [q, y, q (2y-1)] and feature vector [z, u, z*u] built and multiplied
  plain    the same with one noise draw for each query, shared by the models
  shared   that, and the algebra that locus.h uses: token map, layer 0's keys, values and queries, and the predictor's
           first layer computed once for all models, forward and backward
Each worker thread takes whole batches (torch lets go of the GIL) with one BLAS thread. Prints `key value` lines.
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
        self.params = [p.requires_grad_() for p in self.w.values()]
        self.last = "decoder.mlp_head.%d." % (3 if "decoder.mlp_head.3.weight" in self.w else 2)
        encoder = [v for k, v in self.w.items() if k.startswith("encoder.")]
        predictor = [v for k, v in self.w.items() if k.startswith("decoder.")]
        self.adam = torch.optim.AdamW([{"params": encoder, "lr": 2e-4}, {"params": predictor, "lr": 8e-4}],
                                      weight_decay=5e-2, foreach=True)

    def heads(self, x):  # [b, n, d] -> [b*h, n, d/h]; a view where b is 1
        b, n, d = x.shape
        return x.view(b, n, self.h, d // self.h).transpose(1, 2).reshape(b * self.h, n, d // self.h)

    def mab(self, p, q, x, qp=None, kp=None, vp=None):  # q: [b, m, d] or a constant [1, m, d]; x: [b, n, d]
        w, (b, n, d) = self.w, x.shape
        m, scale = q.shape[1], (d // self.h) ** -0.5
        qp = F.linear(q, w[p + "W_q.weight"]) if qp is None else qp
        kp = F.linear(x, w[p + "W_k.weight"]) if kp is None else kp
        vp = F.linear(x, w[p + "W_v.weight"]) if vp is None else vp
        a = torch.bmm(self.heads((qp * scale).expand(b, m, d)), self.heads(kp).transpose(1, 2))
        a = torch.bmm(torch.softmax(a, -1), self.heads(vp))
        a = a.view(b, self.h, m, d // self.h).transpose(1, 2).reshape(b, m, d)
        o = F.linear(a, w[p + "fc_o.weight"]) + q
        o = F.layer_norm(o, (d,), w[p + "ln0.weight"], w[p + "ln0.bias"]).relu()
        f = F.linear(o, w[p + "rff.net.0.weight"], w[p + "rff.net.0.bias"]).relu()
        f = F.linear(f, w[p + "rff.net.2.weight"], w[p + "rff.net.2.bias"])
        return F.layer_norm(f + o, (d,), w[p + "ln1.weight"], w[p + "ln1.bias"])

    def tables(self, q, qt):  # what all models share, each as (value at score 0, change to score 1); u and its part of h
        w, D, p = self.w, q.shape[1], "encoder.layers.0."
        weight = w["encoder.input.0.weight"]
        neg = F.linear(q, weight[:, D + 1:])
        t = (F.linear(q, weight[:, :D], w["encoder.input.0.bias"]) - neg, 2 * neg + weight[:, D])
        maps = ("mab1.W_k.weight", "mab1.W_v.weight", "mab2.W_q.weight")
        u, d = F.linear(qt, w["decoder.U.weight"], w["decoder.U.bias"]), t[0].shape[1]
        hu = F.linear(u, w["decoder.mlp_head.0.weight"][:, d:2 * d])
        return [*t, *(F.linear(x, w[p + m]) for m in maps for x in t), u, hu]

    def embed(self, x, kvq=(None,) * 3):
        for l in range(self.layers):
            p = "encoder.layers.%d." % l
            k, v, q = kvq if l == 0 else (None,) * 3
            x = self.mab(p + "mab2.", x, self.mab(p + "mab1.", self.w[p + "I"], x, None, k, v), q)
        x = self.mab("encoder.pma.mab.", self.w["encoder.pma.S"], x)
        return F.linear(x[:, 0], self.w["encoder.out.0.weight"], self.w["encoder.out.0.bias"])

    def loss(self, form, shared, q, qt, y, yt, noise, dropout):  # sum over the pairs of a batch of models
        w, (b, n), y = self.w, y.shape, y.unsqueeze(-1)
        head, bias = w["decoder.mlp_head.0.weight"], w["decoder.mlp_head.0.bias"]
        if form == "shared":
            mix = lambda i: torch.addcmul(shared[i], y, shared[i + 1])
            z, d = self.embed(mix(0), (mix(2), mix(4), mix(6))), head.shape[1] // 3
            u, hu = shared[8:]
            fold = z.unsqueeze(1) * head[:, 2 * d:]
            f = torch.matmul(u, fold.transpose(1, 2)) + hu + F.linear(z, head[:, :d], bias).unsqueeze(1)
        else:
            if form == "release" and noise:
                q = q + noise * torch.randn(b, n, q.shape[1])
                qt = qt + noise * torch.randn(b, *qt.shape)
            q, u = q.expand(b, n, -1), F.linear(qt, w["decoder.U.weight"], w["decoder.U.bias"])
            z = self.embed(F.linear(torch.cat([q, y, q * (2 * y - 1)], -1), w["encoder.input.0.weight"],
                                    w["encoder.input.0.bias"])).unsqueeze(1)
            u = u.expand(b, *u.shape[-2:])
            f = F.linear(torch.cat([z.expand_as(u), u, z * u], -1), head, bias)
        f = f.relu()
        if dropout: f = F.dropout(f, dropout)
        logits = F.linear(f, w[self.last + "weight"], w[self.last + "bias"])[..., 0]
        return F.binary_cross_entropy_with_logits(logits, yt, reduction="sum")

    def step(self, form, q, qt, y, yt, pairs, batch=4, workers=None, noise=0.0, dropout=0.0):  # -> loss, gradients
        if noise and form != "release":
            q, qt = q + noise * torch.randn_like(q), qt + noise * torch.randn_like(qt)
        shared = self.tables(q, qt) if form == "shared" else []
        leaves = [t.detach().requires_grad_() for t in shared]
        wanted = self.params + leaves
        def part(job):
            torch.set_num_threads(1)
            loss, total = 0.0, None
            for a, b in job:
                one = self.loss(form, leaves, q, qt, a, b, noise, dropout) / pairs
                grads = torch.autograd.grad(one, wanted, allow_unused=True)
                loss += one.item()
                if total is None: total = list(grads)
                else:
                    for i, g in enumerate(grads):
                        if g is not None: total[i] = g if total[i] is None else total[i].add_(g)
            return loss, total
        jobs = list(zip(y.split(batch), yt.split(batch)))
        if workers:
            parts = list(workers.map(part, [jobs[i::workers._max_workers] for i in range(workers._max_workers)]))
            parts = [p for p in parts if p[1] is not None]
        else:
            parts = [part(jobs)]
        loss, total = parts[0]
        for more, grads in parts[1:]:
            loss += more
            total = [a if b is None else b if a is None else a.add_(b) for a, b in zip(total, grads)]
        if shared:
            back = torch.autograd.grad(shared, self.params, total[len(self.params):], allow_unused=True)
            total = [a if b is None else b if a is None else a + b for a, b in zip(total, back)]
        return loss, total[:len(self.params)]

    def update(self, grads):
        for p, g in zip(self.params, grads):
            p.grad = g
        torch.nn.utils.clip_grad_norm_(self.params, 1.0)
        self.adam.step()

def check(at):  # the golden gradient, in all forms
    net = Net(at + "model.safetensors")
    array = lambda f: torch.from_numpy(np.load(at + f).astype(np.float32))
    golden, _ = load(at + "grad.safetensors")
    q, qt, y, yt, mask = array("q_anchor.npy"), array("q_test.npy"), array("y.npy"), array("y_target.npy"), array("mask.npy")
    for form in ("release", "plain", "shared"):
        total = None
        for m in range(y.shape[0]):  # each model has anchors of its own, or its own mask
            keep = mask[m] != 0
            grads = net.step(form, (q if q.dim() == 2 else q[m])[keep], qt, y[m:m + 1, keep], yt[m:m + 1], yt.numel())[1]
            total = grads if total is None else [a + b for a, b in zip(total, grads)]
        worst = max((g - golden[k]).abs().max().item() for k, g in zip(net.w, total))
        rel = worst / max(g.abs().max().item() for g in golden.values())
        print("check_%s %.2g %s" % (form, rel, "ok" if rel < 1e-5 else "WRONG"))

def tune(args):  # finds the BLAS, kernels and threading under which PyTorch is fastest here: arguments for `env`
    lib, T = "/usr/lib/x86_64-linux-gnu/", str(args.threads)
    pins = [k for k in os.environ if k.startswith(("OPENBLAS_", "BLIS_"))]
    clean = {k: v for k, v in os.environ.items() if k not in pins}
    blas = [{}] + [{"LD_LIBRARY_PATH": lib + "openblas-pthread", "OPENBLAS_CORETYPE": c} for c in
                   ("SkylakeX", "Cooperlake", "Haswell", "Zen")] + [
        {"LD_LIBRARY_PATH": lib + "blis-pthread", "BLIS_ARCH_TYPE": c} for c in ("skx", "haswell")]
    blas = [b for b in blas if os.path.isdir(b.get("LD_LIBRARY_PATH", lib))]
    def attempt(base, **more):
        env = {**base, **more}
        command = [sys.executable, __file__, "step"] + sys.argv[2:] + ["--models", "8", "--batch", "1", "--reps", "3"]
        got = subprocess.run(command, env={**clean, **env}, capture_output=True, text=True)
        seconds = float(got.stdout.split()[3]) if got.returncode == 0 else 1e30  # processor time: less noise
        print("# %.3f s %s" % (seconds, env), file=sys.stderr)
        return seconds, " ".join(["-u " + k for k in pins if k not in env] + ["%s=%s" % kv for kv in env.items()]), env
    threads = lambda k: dict(OPENBLAS_NUM_THREADS=k, BLIS_NUM_THREADS=k, OMP_NUM_THREADS=k)
    tried = [attempt(b, **threads("1"), PEER_WORKERS=T, ATEN_CPU_CAPABILITY="avx512") for b in blas]
    best = min(tried, key=lambda r: r[0])[2]
    tried.append(attempt(best, ATEN_CPU_CAPABILITY="avx2"))
    if args.threads > 1:
        tried.append(attempt(best, **threads(T), PEER_WORKERS="1"))
    print(min(tried, key=lambda r: r[0])[1])

def main():
    here = os.path.dirname(os.path.abspath(__file__))
    ap = argparse.ArgumentParser()
    ap.add_argument("item", choices=("step", "loss", "check", "tune"))
    ap.add_argument("--form", choices=("release", "plain", "shared"), default="shared")
    for name, default in (("net", None), ("q", None), ("y", None), ("threads", 1), ("reps", 3), ("models", 0),
                          ("batch", 0), ("golden", os.environ.get("SHARED", here + "/../../shared") + "/golden-train")):
        ap.add_argument("--" + name, default=default, type=type(default) if default is not None else str)
    args = ap.parse_args()
    if args.item == "tune":
        return tune(args)
    if args.item == "check":
        return check(args.golden + "/tiny/") if os.path.isdir(args.golden + "/tiny") else None
    many = int(os.environ.get("PEER_WORKERS", "1"))
    workers = concurrent.futures.ThreadPoolExecutor(many) if many > 1 else None
    torch.set_num_threads(1 if workers else args.threads)
    net, q = Net(args.net), torch.from_numpy(np.load(args.q))
    y = torch.from_numpy(np.load(args.y).astype(np.float32))[:args.models or None]
    if args.item == "loss":
        loss, grads = net.step(args.form, q, q, y, y, y.numel(), 4, workers)
        print("loss %.9f\nnorm %.9f" % (loss, torch.sqrt(sum((g.double() ** 2).sum() for g in grads)).item()))
        return
    def job(batch, y=y):
        begin, cpu = time.perf_counter(), time.process_time()
        net.update(net.step(args.form, q, q, y, y, y.numel(), batch, workers, 0.1, 0.1)[1])
        return time.perf_counter() - begin, time.process_time() - cpu
    trial = lambda batch: min(job(batch, y[:16 * many])[1] for _ in range(2))
    batch = args.batch or min((1, 2, 4, 8), key=trial)
    job(batch, y[:8])
    times = sorted(job(batch) for _ in range(args.reps))
    import resource
    print("min %.9f\ncpu %.9f\nbatch %d\nmemory_kb %d" % (times[0][0], min(t[1] for t in times), batch,
                                                      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))

main()
