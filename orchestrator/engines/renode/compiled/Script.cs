using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.CompilerServices;
using Antmicro.Renode.Core;
using Antmicro.Renode.Logging;
using Antmicro.Renode.Peripherals.Bus;
using Antmicro.Renode.Peripherals.CPU;
using Antmicro.Renode.Peripherals.IRQControllers;

namespace Antmicro.Renode.Peripherals.Rptwin
{
    // What every compiled script stands on. Python's numbers have no end, these have 64 bits; its lists begin again at -1.
    public abstract class Script : IBytePeripheral, IWordPeripheral, IDoubleWordPeripheral, IQuadWordPeripheral, IKnownSize
    {
        protected Script(IMachine machine, int size, string file)
        {
            this.machine = machine;
            bus = machine.GetSystemBus(this);
            this.size = size;
            this.file = file ?? GetType().Name;
        }

        public long Size => size;

        public void Reset()
        {
            initialized = true;
            Run(Init);
        }

        public byte ReadByte(long at) => (byte)Load(at, 1);
        public ushort ReadWord(long at) => (ushort)Load(at, 2);
        public uint ReadDoubleWord(long at) => (uint)Load(at, 4);
        public ulong ReadQuadWord(long at) => (ulong)Load(at, 8);
        public void WriteByte(long at, byte given) => Store(at, 1, given);
        public void WriteWord(long at, ushort given) => Store(at, 2, given);
        public void WriteDoubleWord(long at, uint given) => Store(at, 4, given);
        public void WriteQuadWord(long at, ulong given) => Store(at, 8, (long)given);

        protected abstract void Init();
        protected abstract void Read();
        protected abstract void Write();

        protected bool TryGetCurrentCPU(out IPeripheral cpu)
        {
            var found = bus.TryGetCurrentCPU(out var current);
            cpu = current;
            return found;
        }

        protected IPeripheral Part(string path)
        {
            if(!parts.TryGetValue(path, out var part))
            {
                part = machine[path];
                parts[path] = part;
            }
            return part;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        protected static long Shl(long number, long by) => by > 63 ? 0 : number << (int)by;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        protected static long Shr(long number, long by) => number >> (int)Math.Min(by, 63);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        protected static long Mod(long number, long by)
        {
            var rest = number % by;
            return rest != 0 && (rest ^ by) < 0 ? rest + by : rest;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        protected static long Div(long number, long by) => (number - Mod(number, by)) / by;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        protected static long Ix(long index, int count) => index < 0 ? index + count : index;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        protected static T At<T>(T[] list, long index) => list[Ix(index, list.Length)];

        protected static bool Has<T>(T[] list, T wanted) => Array.IndexOf(list, wanted) >= 0;

        protected static V Get<K, V>(Dictionary<K, V> words, K key, V otherwise) =>
            words.TryGetValue(key, out var found) ? found : otherwise;

        protected static IEnumerable<long> Range(long start, long end, long step = 1)
        {
            for(var each = start; step > 0 ? each < end : each > end; each += step)
            {
                yield return each;
            }
        }

        protected long offset, length, value;
        protected int line;
        protected const long Nothing = long.MinValue;

        private long Load(long at, long count)
        {
            Ready();
            (offset, length, value) = (at, count, 0);
            Run(Read);
            return value;
        }

        private void Store(long at, long count, long given)
        {
            Ready();
            (offset, length, value) = (at, count, given);
            Run(Write);
        }

        private void Run(Action section)
        {
            try
            {
                section();
            }
            catch(Exception failure)
            {
                throw new InvalidOperationException($"script {file}:{line}: {failure.Message}", failure);
            }
        }

        private void Ready()
        {
            if(!initialized)
            {
                Reset();
            }
        }

        private bool initialized;
        private readonly int size;
        private readonly string file;
        private readonly IMachine machine;
        private readonly IBusController bus;
        private readonly Dictionary<string, IPeripheral> parts = new Dictionary<string, IPeripheral>();
    }
}
